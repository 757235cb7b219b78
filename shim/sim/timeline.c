/*
 * A device works at one kernel at a time, in the order of launches over all
 * processes. A launch takes its place at the tail of the device's time by one
 * compare-and-swap: no process that dies holds up another.
 */
#define _GNU_SOURCE
#include "state.h"

#include <stdatomic.h>
#include <time.h>

static _Thread_local uint64_t reaped; /* when this thread looked for the dead */
static struct {
	uint64_t index;
	bool valid;
} last[SIM_DEVICES]; /* the newest run of this process; under the process' own lock */

uint64_t timeline_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Notes a run, or lengthens the last one if this follows on it without a gap. */
static void note(struct sim_device *d, int device, uint64_t start, uint64_t end)
{
	struct sim_run *r = &d->run[last[device].index % SIM_RUNS];
	if (last[device].valid && d->next - last[device].index < SIM_RUNS && r->end == start &&
	    r->slot == (uint32_t)state_slot) {
		r->end = end;
		return;
	}
	last[device].index = d->next++;
	last[device].valid = true;
	r = &d->run[last[device].index % SIM_RUNS];
	r->end = 0; /* counts for nothing until it is whole */
	r->slot = (uint32_t)state_slot;
	r->start = start;
	r->end = end;
}

uint64_t timeline_run(int device, uint64_t ready, uint64_t length)
{
	struct sim_device *d = &state->device[device];
	struct sim_use *u = &state->slot[state_slot].use[device];
	uint64_t now = timeline_now(), tail = d->tail, start;
	/* A long queue may be a dead process'. */
	if (tail > now + 5000000 && now > reaped + 5000000) {
		state_lock();
		state_reap();
		state_unlock();
		reaped = now;
		tail = d->tail;
	}
	u->kernel = length;
	do {
		start = later(later(now, ready), tail);
		/* Said before it is so: one who cuts the queue then never takes it for shorter than it is. */
		u->tail = start + length;
	} while (!atomic_compare_exchange_weak(&d->tail, &tail, start + length));
	u->busy += length;
	note(d, device, start, start + length);
	return start + length;
}

uint64_t timeline_copy(int device, bool to_device, uint64_t ready, uint64_t length)
{
	_Atomic uint64_t *engine = &state->device[device].engine[to_device ? 0 : 1];
	uint64_t now = timeline_now(), tail = *engine, start;
	if (length == 0)
		return later(now, ready);
	do {
		start = later(later(now, ready), tail);
	} while (!atomic_compare_exchange_weak(engine, &tail, start + length));
	return start + length;
}

/*
 * What a dead process had begun ends, at most one kernel of it; what it had
 * queued behind is dropped where nobody else has queued since. Launches of
 * others have their times already, and keep them.
 */
static void cut(int device, int dead)
{
	struct sim_device *d = &state->device[device];
	uint64_t now = timeline_now(), tail = d->tail, end;
	do {
		end = now + state->slot[dead].use[device].kernel;
		for (int i = 0; i < SIM_SLOTS; i++)
			if (i != dead && state->slot[i].taken)
				end = later(end, state->slot[i].use[device].tail);
		if (end >= tail)
			return;
	} while (!atomic_compare_exchange_weak(&d->tail, &tail, end));
	for (int i = 0; i < SIM_RUNS; i++)
		if (d->run[i].slot == (uint32_t)dead && d->run[i].end > end)
			d->run[i].end = end;
}

void timeline_cut(int dead)
{
	for (uint32_t i = 0; i < state->devices; i++)
		if (state->slot[dead].use[i].tail > timeline_now())
			cut((int)i, dead);
}

uint64_t timeline_busy(int device, int slot, uint64_t from, uint64_t to)
{
	struct sim_device *d = &state->device[device];
	uint64_t n = 0;
	for (int i = 0; i < SIM_RUNS; i++) {
		uint64_t start = later(d->run[i].start, from), end = d->run[i].end;
		if (end > to)
			end = to;
		if (end > start && (slot < 0 || d->run[i].slot == (uint32_t)slot))
			n += end - start;
	}
	return n;
}

uint64_t timeline_since(int device, uint64_t from)
{
	const struct sim_device *d = &state->device[device];
	if (d->next < SIM_RUNS)
		return from;
	/* The oldest that is kept; runs of several processes may be a little out of order. */
	return later(from, d->run[d->next % SIM_RUNS].start);
}
