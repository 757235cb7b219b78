/* The mover: see mover.h. */
#include "mover.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nap.h"
#include "real.h"
#include "regions.h"
#include "self.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14 */
#endif

/* How long work may go on for that began before the gate was closed. */
#define DRAIN_PATIENCE 10000000000ull
/* Rules may be replaced by those of another agent: nobody waits for a word of theirs for longer than this. */
#define LOOK_EVERY 200000000ull
/* CU_MEMHOSTREGISTER_PORTABLE: for all contexts. */
#define REGISTER_PORTABLE 1u
/* While a device has no room. */
#define ROOM_EVERY 2000000ull

static uint32_t place_of(struct self *self)
{
	return atomic_load(&atomic_load(&self->pages)->rules->place);
}

static bool is_out(uint32_t place)
{
	return place & 1;
}

/* Says that a place is reached. */
static void arrive(struct self *self, uint32_t place)
{
	struct pages *p = atomic_load(&self->pages);
	atomic_store(&p->cells->cell[p->cell].placed, place);
	self_send(self, WEIR_PLACED, 0, place);
}

static void open_gate(struct self *self)
{
	struct swap *w = &self->swap;

	pthread_mutex_lock(&w->lock);
	atomic_store(&w->closed, false);
	atomic_store(&w->shut, false);
	pthread_cond_broadcast(&w->opened);
	pthread_mutex_unlock(&w->lock);
}

/* Whether nothing of this process is at work on any device, but for what was not launched by it. */
static bool quiet(struct self *self)
{
	const struct weir_rules *rules = atomic_load(&self->pages)->rules;
	bool idle = atomic_load(&self->swap.inside) == 0 && atomic_load(&self->queue.captures) <= 0;

	for (uint32_t d = 0; idle && d < rules->devices; d++)
		idle = queue_idle(&self->queue, d);
	return idle;
}

/* The same, and that it stays so: nobody was let in meanwhile because something was captured. */
static bool shut(struct self *self)
{
	if (!quiet(self))
		return false;
	atomic_store(&self->swap.shut, true);
	if (quiet(self))
		return true;
	atomic_store(&self->swap.shut, false);
	return false;
}

static bool synchronize(CUcontext ctx)
{
	CUcontext popped;

	if (REAL(cuCtxPushCurrent_v2, ctx) != CUDA_SUCCESS)
		return false;
	bool done = REAL(cuCtxSynchronize) == CUDA_SUCCESS;
	REAL(cuCtxPopCurrent_v2, &popped);
	return done;
}

/* Waits for what calls have left on the devices: one context copies another's memory. Where one that has none of what
 * moves is in error, its work is over. */
static bool finish(struct self *self)
{
	CUcontext seen = NULL;
	struct entry e;
	size_t at = 0;
	bool done = true;

	pthread_mutex_lock(&self->making); /* they do not end meanwhile */
	while (table_next(&self->contexts, &at, &e))
		synchronize((CUcontext)(uintptr_t)e.key);
	pthread_mutex_lock(&self->regions.lock);
	for (size_t i = 0; done && i < self->regions.count; i++) {
		CUcontext ctx = self->regions.at[i]->ctx;
		done = ctx == seen || synchronize(ctx);
		seen = ctx;
	}
	pthread_mutex_unlock(&self->regions.lock);
	pthread_mutex_unlock(&self->making);
	return done;
}

/* Waits for what launches and calls have left on the devices; every launch is before this or sees the closed gate,
 * as both take the locks of the streams. */
static bool drain(struct self *self, uint32_t place)
{
	uint64_t since = self_now();

	while (!shut(self)) {
		if (place_of(self) != place || self_now() - since > DRAIN_PATIENCE)
			return false;
		nap(100000);
	}
	return finish(self);
}

static void write_journal(struct self *self, const struct region *r, uint32_t piece, enum weir_copy state)
{
	uint32_t first = piece * PIECE_CHUNKS, last = first + (uint32_t)(piece_bytes(r, piece) / WEIR_CHUNK);

	for (uint32_t i = first; i < last; i++)
		arena_state(&self->arena, r->slots[i], state);
}

/* Copies a piece, chunks whose slots are side by side at once. */
static CUresult copy(struct self *self, const struct region *r, uint32_t piece, bool out)
{
	uint32_t first = piece * PIECE_CHUNKS, last = first + (uint32_t)(piece_bytes(r, piece) / WEIR_CHUNK), next;
	CUresult e = CUDA_SUCCESS;

	for (uint32_t i = first; i < last && e == CUDA_SUCCESS; i = next) {
		for (next = i + 1; next < last && r->slots[next] == r->slots[next - 1] + 1; next++)
			;
		CUdeviceptr device = r->base + i * WEIR_CHUNK;
		void *host = arena_bytes(&self->arena, r->slots[i]);
		size_t bytes = (next - i) * WEIR_CHUNK;
		e = out ? REAL(cuMemcpyDtoH_v2, host, device, bytes) : REAL(cuMemcpyHtoD_v2, device, host, bytes);
	}
	return e;
}

/* The device's copy is given up only when the journal says that the host's is whole. */
static CUresult piece_out(struct self *self, const struct region *r, uint32_t piece)
{
	write_journal(self, r, piece, WEIR_COPYING_OUT);
	CUresult e = copy(self, r, piece, true);
	if (e == CUDA_SUCCESS) {
		write_journal(self, r, piece, WEIR_HOST);
		e = piece_strip(r, piece);
	}
	if (e != CUDA_SUCCESS && r->piece[piece].on_device)
		write_journal(self, r, piece, WEIR_RESIDENT);
	else
		ledger_swap(&self->ledger, r->rule, 0, (int64_t)piece_bytes(r, piece));
	return e;
}

/* The host's copy is out of date only when the journal says that the device's is whole. */
static CUresult piece_in(struct self *self, const struct region *r, uint32_t piece)
{
	int64_t bytes = (int64_t)piece_bytes(r, piece);

	ledger_swap(&self->ledger, r->rule, 0, -bytes);
	CUresult e = piece_back(r, piece);
	if (e == CUDA_SUCCESS) {
		write_journal(self, r, piece, WEIR_COPYING_IN);
		e = copy(self, r, piece, false);
		if (e == CUDA_SUCCESS) {
			write_journal(self, r, piece, WEIR_RESIDENT);
			return e;
		}
		write_journal(self, r, piece, WEIR_HOST);
		piece_strip(r, piece);
	}
	ledger_swap(&self->ledger, r->rule, 0, bytes);
	return e;
}

/* Moves the first piece at or behind `*at` that is not where it is to be, and sets `*at` behind it; to zero when there
 * is none. Others may take and free memory between two pieces. */
static CUresult move_next(struct self *self, bool out, uint64_t *at)
{
	CUresult e = CUDA_SUCCESS;
	CUcontext popped;
	struct region *r;

	pthread_mutex_lock(&self->swap.moving);
	pthread_mutex_lock(&self->regions.lock);
	while ((r = regions_next(&self->regions, *at)) != NULL) {
		uint32_t piece = *at <= r->base ? 0 : (uint32_t)((*at - r->base) / (PIECE_CHUNKS * WEIR_CHUNK));
		*at = piece_address(r, piece) + piece_bytes(r, piece);
		if (r->piece[piece].on_device != out)
			continue;
		e = REAL(cuCtxPushCurrent_v2, r->ctx);
		if (e == CUDA_SUCCESS) {
			e = out ? piece_out(self, r, piece) : piece_in(self, r, piece);
			REAL(cuCtxPopCurrent_v2, &popped);
		}
		if (e != CUDA_SUCCESS)
			*at = piece_address(r, piece);
		break;
	}
	if (r == NULL)
		*at = 0;
	pthread_mutex_unlock(&self->regions.lock);
	pthread_mutex_unlock(&self->swap.moving);
	return e;
}

/* Brings everything in, however long it takes: until there is room, and until the rules say otherwise. A place that
 * was given up is where it was before. */
static void come_in(struct self *self, uint32_t place)
{
	uint64_t at = 1;

	while (at != 0) {
		CUresult e = move_next(self, false, &at);
		if (place_of(self) != place)
			return;
		if (e != CUDA_SUCCESS)
			nap(ROOM_EVERY);
	}
	open_gate(self);
	if (!is_out(place))
		arrive(self, place);
}

/* It cannot be: puts everything back. */
static void give_up(struct self *self, uint32_t place, const char *why)
{
	self_debug("not swapped out: %s", why);
	come_in(self, place);
	if (swap_closed(self))
		return;
	self->swap.why = why;
	atomic_store(&self->swap.gave_up, place);
}

static void go_out(struct self *self, uint32_t place)
{
	uint64_t at = 1;

	atomic_store(&self->swap.closed, true);
	if (!drain(self, place)) {
		if (place_of(self) == place)
			give_up(self, place, "its work on the device does not come to an end");
		return;
	}
	while (at != 0) {
		CUresult e = move_next(self, true, &at);
		if (place_of(self) != place)
			return;
		if (e != CUDA_SUCCESS) {
			give_up(self, place, "its memory could not be copied to the host");
			return;
		}
	}
	arrive(self, place);
}

/* What copies go faster with: pages of the arena that are known to this process, and to the driver. */
static void prepare(struct self *self)
{
	struct arena *a = &self->arena;
	CUcontext popped;

	if (a->at == NULL || !arena_ready(a))
		return;
	char *bytes = arena_bytes(a, 0);
	size_t count = (size_t)a->chunks * WEIR_CHUNK;
	/* This takes a second for each few gigabytes. The program goes on meanwhile, but for ending the context. */
	pthread_mutex_lock(&self->swap.moving);
	pthread_mutex_lock(&self->regions.lock);
	CUcontext ctx = self->regions.count > 0 ? self->regions.at[0]->ctx : NULL;
	pthread_mutex_unlock(&self->regions.lock);
	if (ctx != NULL && REAL(cuCtxPushCurrent_v2, ctx) == CUDA_SUCCESS) {
		CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
		REAL(cuThreadExchangeStreamCaptureMode, &mode); /* else it spoils what the program captures just now */
		madvise(bytes, count, MADV_POPULATE_WRITE);
		/* Where the driver will not, copies are slower. */
		REAL(cuMemHostRegister_v2, bytes, count, REGISTER_PORTABLE);
		REAL(cuCtxPopCurrent_v2, &popped);
		atomic_store(&self->swap.prepared, true);
	}
	pthread_mutex_unlock(&self->swap.moving);
}

static void wait_for_rules(struct self *self, uint32_t place)
{
	const struct weir_rules *rules = atomic_load(&self->pages)->rules;
	struct timespec t = {0, LOOK_EVERY};
	syscall(SYS_futex, &rules->place, FUTEX_WAIT, place, &t, NULL, 0);
}

static void *move(void *arg)
{
	struct self *self = arg;

	for (;;) {
		struct pages *p = atomic_load(&self->pages);
		uint32_t place = place_of(self), placed = atomic_load(&p->cells->cell[p->cell].placed);
		if (place == placed || place == atomic_load(&self->swap.gave_up)) {
			if (is_out(place) && place != placed) /* again and again: a message may be lost, and so may an agent */
				self_tell(self, WEIR_UNMOVED, place, self->swap.why);
			if (!atomic_load(&self->swap.prepared) && !swap_closed(self))
				prepare(self);
			wait_for_rules(self, place);
		} else if (is_out(place)) {
			go_out(self, place);
		} else {
			come_in(self, place);
		}
	}
	return NULL;
}

bool mover_start(struct self *self)
{
	return self_thread(move, self);
}
