/* Who may touch the device's memory: see swap.h. The mover is in mover.c. */
#include "swap.h"

#include <stdatomic.h>
#include <time.h>

#include "mover.h"
#include "self.h"

/* A message may have been lost: who waits says so again after this long. */
#define SAY_EVERY 200000000ull

/* How deep this thread is within calls that touch memory: one that is within goes on. */
static _Thread_local int depth;

/* A capture that had begun before the gate was closed is waited for: what it takes to end it goes on. */
static bool may_end_capture(struct self *self)
{
	return atomic_load(&self->queue.captures) > 0 && !atomic_load(&self->swap.shut);
}

void swap_enter(struct self *self)
{
	struct swap *w = &self->swap;

	if (!atomic_load_explicit(&w->on, memory_order_relaxed) || depth++ > 0)
		return;
	for (;;) {
		atomic_fetch_add(&w->inside, 1);
		if (!atomic_load(&w->closed) || may_end_capture(self))
			return;
		atomic_fetch_sub(&w->inside, 1);
		swap_wait(self);
	}
}

void swap_leave(struct self *self)
{
	struct swap *w = &self->swap;

	if (atomic_load_explicit(&w->on, memory_order_relaxed) && --depth == 0)
		atomic_fetch_sub(&w->inside, 1);
}

bool swap_closed(struct self *self)
{
	return atomic_load(&self->swap.closed);
}

bool swap_is_out(struct self *self)
{
	struct pages *p = atomic_load(&self->pages);
	return swap_closed(self) && (atomic_load(&p->cells->cell[p->cell].placed) & 1);
}

void swap_wait(struct self *self)
{
	struct swap *w = &self->swap;
	struct timespec until;
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* see nap.h */
	atomic_fetch_add(&w->waiting, 1);
	pthread_mutex_lock(&w->lock);
	while (atomic_load(&w->closed)) {
		struct pages *p = atomic_load(&self->pages);
		atomic_store(&p->cells->cell[p->cell].asleep, 1);
		self_send(self, WEIR_ASLEEP, 0, 0);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += SAY_EVERY;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&w->opened, &w->lock, &until);
	}
	if (atomic_fetch_sub(&w->waiting, 1) == 1) {
		struct pages *p = atomic_load(&self->pages);
		atomic_store(&p->cells->cell[p->cell].asleep, 0);
	}
	pthread_mutex_unlock(&w->lock);
	pthread_setcancelstate(cancel, NULL);
}

/* Called with the lock of hello held, so that it happens once at a time. */
void swap_adopt(struct self *self, const struct pages *pages)
{
	struct swap *w = &self->swap;

	if (!(pages->rules->flags & WEIR_MOVES))
		return;
	if ((pages->rules->flags & WEIR_SWAPPABLE) && self->arena.at == NULL && pages->arena_fd >= 0 &&
	    !arena_open(&self->arena, pages->arena_fd))
		self_complain("the arena that the agent gave cannot be used: nothing can be swapped out");
	/* Whoever began without is without for good: calls on their way would be counted when they end only. */
	if (!w->started && atomic_load(&self->state) == SELF_UNKNOWN) {
		if (atomic_load(&pages->rules->place) & 1)
			atomic_store(&w->closed, true);
		atomic_store(&w->on, true);
		w->started = mover_start(self);
	}
}
