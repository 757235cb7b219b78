/* Marks in a stream: see marks.h. */
#include "marks.h"

#include <string.h>

#include "real.h"
#include "self.h"

/* Work that has not come to an end after this long may be waiting for a launch that is still to come. */
#define STUCK_AFTER 100000000ull

CUstreamCaptureMode marks_relax(struct queue *q, bool *relaxed)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	*relaxed = atomic_load(&q->captures) > 0;
	if (*relaxed)
		REAL(cuThreadExchangeStreamCaptureMode, &mode);
	return mode;
}

void marks_restore(CUstreamCaptureMode mode, bool relaxed)
{
	if (relaxed)
		REAL(cuThreadExchangeStreamCaptureMode, &mode);
}

/* Adds a batch to the one of a mark that moves behind it. */
static void merge(struct batch *into, const struct batch *b)
{
	into->cost += b->cost;
	into->launches += b->launches;
	for (uint32_t i = 0; i < b->keys && into->keys < BATCH_KEYS; i++)
		into->key[into->keys++] = b->key[i];
}

bool marks_put(struct slot *s)
{
	bool full = s->count == SLOT_MARKS;
	struct mark *m = &s->marks[(s->first + s->count - full) % SLOT_MARKS];

	if (m->event == NULL && REAL(cuEventCreate, &m->event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) {
		m->event = NULL;
		return false;
	}
	CUresult r = s->thread ? REAL(cuEventRecord_ptsz, m->event, s->stream) : REAL(cuEventRecord, m->event, s->stream);
	if (r != CUDA_SUCCESS)
		return false;
	if (full) {
		merge(&m->batch, &s->batch);
	} else {
		m->batch = s->batch;
		s->count++;
	}
	memset(&s->batch, 0, sizeof s->batch);
	s->dirty = false;
	return true;
}

/* Time in which the device had work of this process: what overlaps is counted once. */
static void account(struct self *self, struct slot *s, uint64_t start, uint64_t end)
{
	struct pages *p = atomic_load(&self->pages);
	uint64_t from = atomic_load_explicit(&self->queue.accounted, memory_order_relaxed);

	if (from < start)
		from = start;
	if (end <= from)
		return;
	atomic_store_explicit(&self->queue.accounted, end, memory_order_relaxed);
	atomic_fetch_add(&p->cells->cell[p->cell].device[s->device].busy, end - from);
	gate_done(self, s->device, end);
}

/* The first mark is done; `exact` when it was waited for, and not found. */
static void done(struct self *self, struct slot *s, bool waited)
{
	const struct batch *b = &s->marks[s->first].batch;
	uint64_t now = self_now(), start = b->began;
	bool exact = waited;

	/* It began when the one before it was done, if that is known, or else not before it was launched. */
	if (b->began < s->last_done) {
		if (s->exact)
			start = s->last_done;
		else
			exact = false;
	}
	uint64_t took = now > start ? now - start : 1;
	estimate_learn(&self->queue.estimates, b, took, exact);
	account(self, s, start, exact || took < b->cost ? now : start + b->cost);
	s->ahead -= b->cost < s->ahead ? b->cost : s->ahead;
	s->last_done = now;
	s->exact = waited;
	s->stuck = false;
	s->first = (s->first + 1) % SLOT_MARKS;
	s->count--;
}

/* An event in error is done as well: its work will not go on. */
static bool ready(struct slot *s)
{
	return REAL(cuEventQuery, s->marks[s->first].event) != CUDA_ERROR_NOT_READY;
}

void marks_reap(struct self *self, struct slot *s)
{
	while (s->count > 0 && ready(s))
		done(self, s, false);
	if (s->count == 0 && !s->dirty)
		s->ahead = 0;
}

/* Waits for the first mark; false when it does not come. */
static bool wait_first(struct self *self, struct slot *s)
{
	const struct batch *b = &s->marks[s->first].batch;
	uint64_t begin = self_now(), patience = b->cost * 4 > STUCK_AFTER ? b->cost * 4 : STUCK_AFTER;
	bool waited = false;

	while (!ready(s)) {
		uint64_t spent = self_now() - begin, nap = spent / 8;
		if (spent > patience)
			return false;
		struct timespec t = {0, nap < 10000 ? 10000 : nap > 100000 ? 100000 : (long)nap};
		nanosleep(&t, NULL);
		waited = true;
	}
	done(self, s, waited);
	return true;
}

void marks_make_room(struct self *self, struct slot *s)
{
	bool relaxed;
	CUstreamCaptureMode mode = marks_relax(&self->queue, &relaxed);

	if (s->count == 0 && s->dirty)
		marks_put(s);
	marks_reap(self, s);
	while (!s->stuck && s->ahead >= QUEUE_WINDOW && s->count > 0)
		if (!wait_first(self, s))
			s->stuck = true;
	if (s->count == 0 && !s->dirty)
		s->ahead = 0;
	marks_restore(mode, relaxed);
}
