/* Leases: see gate.h. */
#include "gate.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "self.h"

/* A message may have been lost, and an agent may have died: nobody waits for longer than this without a look. */
#define LOOK_EVERY 50000000ull
/* While work of a lease that is over is still on the device. */
#define DRAIN_EVERY 100000ull

struct view {
	const struct weir_rule *rule;
	const struct weir_rules *rules;
	struct weir_use *use;
};

static struct view view_of(struct self *self, uint32_t device)
{
	struct pages *p = atomic_load_explicit(&self->pages, memory_order_acquire);
	return (struct view){&p->rules->device[device], p->rules, &p->cells->cell[p->cell].device[device]};
}

static bool lease_runs(const struct weir_rule *rule, uint32_t gate, uint64_t now)
{
	return (gate & 1) && now < atomic_load(&rule->lease_until);
}

/* Says that this process launches in the lease. The agent ends a lease by moving the gate and looks at the
 * processes after that: whoever still sees the gate where it was has been seen. */
static bool join(struct self *self, struct view v, uint32_t gate)
{
	if (atomic_load_explicit(&v.use->began, memory_order_relaxed) == gate)
		return true;
	atomic_store(&v.use->began, gate);
	self_wake(self);
	return atomic_load(&v.rule->gate) == gate;
}

/* The number of the turn that began last, as far as it is told apart. */
static uint32_t turn_of(const struct weir_rule *rule, uint64_t now)
{
	return (uint32_t)((now - rule->turn_offset) / rule->turn_period);
}

/* A turn that began late is longer by that: who was over it stays away for as long. */
static uint64_t turn_length(struct gate *g, const struct weir_rule *rule, uint64_t now)
{
	uint64_t late = atomic_load(&g->late), length = rule->turn_length;

	if (late >> 32 == turn_of(rule, now))
		length += late & UINT32_MAX;
	return length < rule->turn_period ? length : rule->turn_period;
}

/* How long from `now` until a turn by the clock; 0 within one. */
static uint64_t until_slot(struct gate *g, const struct weir_rule *rule, uint64_t now)
{
	uint64_t at = (now - rule->turn_offset) % rule->turn_period;

	return at < turn_length(g, rule, now) ? 0 : rule->turn_period - at;
}

/* How long until this process may launch where no agent lives. */
static uint64_t until_turn(struct gate *g, const struct weir_rule *rule, uint64_t now)
{
	uint64_t from = atomic_load(&g->not_before);

	if (rule->turn_period == 0)
		return 0;
	return now < from ? from - now : until_slot(g, rule, now);
}

bool gate_open(struct self *self, uint32_t device)
{
	struct view v = view_of(self, device);
	struct gate *g = &self->gate[device];

	if (swap_closed(self))
		return false;
	if (v.rule->mode == WEIR_FREE)
		return true;
	uint32_t gate = atomic_load(&v.rule->gate);
	uint64_t now = self_now();
	if (lease_runs(v.rule, gate, now))
		return atomic_load(&g->closed) != gate && join(self, v, gate);
	return !self_agent_alive(self, v.rules, now) && until_turn(g, v.rule, now) == 0;
}

static void futex_wait(const _Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
	syscall(SYS_futex, word, FUTEX_WAIT, value, &t, NULL, 0);
}

/* Says that the lease is given back, if all its work is done. Called with `turning` held. */
static bool settle(struct self *self, uint32_t device, struct view v, uint32_t gate)
{
	atomic_store(&self->gate[device].closed, gate);
	if (!queue_idle(&self->queue, device))
		return false;
	if (atomic_load(&v.use->began) == gate && atomic_exchange(&v.use->ended, gate) != gate)
		self_send(self, WEIR_DONE, device, gate);
	return true;
}

/* Takes up a lease again that was given back, or was about to be. Called with `turning` held. */
static bool take_up(struct self *self, uint32_t device, struct view v, uint32_t gate)
{
	uint32_t ended = atomic_load(&v.use->ended);

	atomic_store(&v.use->ended, 0);
	if (atomic_load(&v.rule->gate) == gate) {
		atomic_store(&self->gate[device].closed, 0);
		self_wake(self); /* it is to be given back again */
		return true;
	}
	atomic_store(&v.use->ended, ended);
	if (ended == gate) /* the agent may have looked between */
		self_send(self, WEIR_DONE, device, gate);
	return false;
}

/* One look of a thread that waits: puts right what this process has to do. In how many nanoseconds to look again,
 * 0 if the gate may be open. `busy` is the lease whose work is not done, or 0. */
static uint64_t look(struct self *self, uint32_t device, struct view v, uint32_t gate, uint32_t *busy)
{
	struct gate *g = &self->gate[device];
	uint64_t again = LOOK_EVERY, now = self_now();

	*busy = 0;
	if (!self_agent_alive(self, v.rules, now)) {
		uint64_t turn = until_turn(g, v.rule, now);
		return turn < LOOK_EVERY ? turn : LOOK_EVERY;
	}
	pthread_mutex_lock(&g->turning);
	uint32_t began = atomic_load(&v.use->began);
	if (lease_runs(v.rule, gate, now)) {
		if (atomic_load(&g->closed) != gate || take_up(self, device, v, gate))
			again = 0;
	} else if ((began & 1) && atomic_load(&v.use->ended) != began && !settle(self, device, v, began)) {
		*busy = began;
		again = DRAIN_EVERY;
	}
	pthread_mutex_unlock(&g->turning);
	return again;
}

void gate_wait(struct self *self, uint32_t device)
{
	struct gate *g = &self->gate[device];
	uint64_t asked = 0;
	uint32_t asked_at = 0;

	if (swap_closed(self)) {
		swap_wait(self);
		return;
	}
	atomic_fetch_add(&g->waiting, 1);
	for (;;) {
		struct view v = view_of(self, device);
		uint32_t gate = atomic_load(&v.rule->gate), busy;

		atomic_store(&v.use->hungry, 1);
		uint64_t wait = look(self, device, v, gate, &busy);
		if (wait == 0)
			break;
		/* Once for each state of the gate, and again when the answer may have been lost. */
		uint64_t now = self_now();
		if (asked == 0 || asked_at != gate || now - asked > LOOK_EVERY) {
			self_send(self, WEIR_WANT, device, busy);
			asked = now;
			asked_at = gate;
		}
		futex_wait(&v.rule->gate, gate, wait);
		if (swap_closed(self))
			break; /* it is to wait for its memory, and wants nothing of the device until then */
	}
	if (atomic_fetch_sub(&g->waiting, 1) == 1)
		atomic_store(&view_of(self, device).use->hungry, 0);
}

void gate_done(struct self *self, uint32_t device, uint64_t end)
{
	struct view v = view_of(self, device);
	struct gate *g = &self->gate[device];
	uint64_t period = v.rule->turn_period, length = v.rule->turn_length;

	if (period == 0 || length == 0 || v.rule->mode == WEIR_FREE || self_agent_alive(self, v.rules, end))
		return;
	uint64_t next = until_slot(g, v.rule, end);
	if (next == 0)
		return;
	/* The turn before ended this long ago, and some of that may have been counted. */
	uint64_t turn_end = end + next - (period - turn_length(g, v.rule, end)), counted = atomic_load(&g->over_until);
	uint64_t over = end - (counted > turn_end && counted < end ? counted : turn_end);
	uint64_t from = atomic_load(&g->not_before);
	if (from < end + next)
		from = end + next;
	/* What the turn of `from` has used up already, and this: in whole turns, and the rest of one. */
	uint64_t into = (from - v.rule->turn_offset) % period + over;
	from = from - (into - over) + into / length * period + into % length;
	atomic_store(&g->over_until, end);
	atomic_store(&g->not_before, from);
}

/* Whether the container has no other process: those share its turns. */
static bool alone(struct self *self)
{
	struct pages *p = atomic_load(&self->pages);

	for (uint32_t i = 0; i < WEIR_CELLS; i++)
		if (i != p->cell && atomic_load(&p->rules->live[i]))
			return false;
	return true;
}

void gate_began(struct self *self, uint32_t device, uint64_t launched, uint64_t cost, uint64_t not_done)
{
	struct view v = view_of(self, device);
	struct gate *g = &self->gate[device];
	uint64_t period = v.rule->turn_period, late = 0, most = 0;

	if (period == 0 || v.rule->mode == WEIR_FREE || self_agent_alive(self, v.rules, launched))
		return;
	uint32_t turn = turn_of(v.rule, launched);
	if (atomic_load(&g->late) >> 32 == turn)
		return; /* it is not the first of its turn */
	most = period - v.rule->turn_length;
	if (alone(self) && atomic_load(&self->queue.accounted) <= launched && not_done > launched + cost)
		late = not_done - launched - cost;
	if (late > most)
		late = most;
	atomic_store(&g->late, (uint64_t)turn << 32 | (late < UINT32_MAX ? late : UINT32_MAX));
}

/* One device's part of gate_tick: whether a lease of this process is still to be given back. */
static bool tick_device(struct self *self, uint32_t device, uint64_t now, bool *over)
{
	struct view v = view_of(self, device);
	struct gate *g = &self->gate[device];
	uint32_t began = atomic_load(&v.use->began);
	uint64_t launches = atomic_load(&v.use->launches);
	bool idle = launches == g->launches_seen;

	g->launches_seen = launches;
	if (!(began & 1) || atomic_load(&v.use->ended) == began)
		return false;
	*over = !lease_runs(v.rule, began, now) || atomic_load(&v.rule->gate) != began;
	if (!*over && (!idle || atomic_load(&g->waiting) != 0 || !queue_idle(&self->queue, device)))
		return true;
	if (pthread_mutex_trylock(&g->turning) != 0)
		return true;
	bool done = atomic_load(&v.use->began) == began && settle(self, device, v, began);
	pthread_mutex_unlock(&g->turning);
	return !done;
}

uint64_t gate_tick(struct self *self)
{
	const struct weir_rules *rules = atomic_load(&self->pages)->rules;
	uint64_t again = UINT64_MAX, now = self_now(), idle = rules->idle_after * 1000ull;

	for (uint32_t d = 0; d < rules->devices; d++) {
		bool over = false;
		if (rules->device[d].mode == WEIR_FREE || !tick_device(self, d, now, &over))
			continue;
		uint64_t next = over ? DRAIN_EVERY : idle > 100000 ? idle : 100000;
		if (next < again)
			again = next;
	}
	return again;
}
