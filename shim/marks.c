/* Marks in a stream: see marks.h. */
#include "marks.h"

#include <string.h>

#include "nap.h"
#include "real.h"
#include "self.h"

/* Work that has not come to an end after this long may be waiting for a launch that is still to come. */
#define STUCK_AFTER 100000000ull
#define STUCK_EACH 10000000ull

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
		batch_merge(&m->batch, &s->batch);
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

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The first mark is done. It began when the one before it was done, but not before it was launched; of both, and
 * of its end, is known when they had not been yet, and when they were seen. */
static void done(struct self *self, struct slot *s, uint64_t before_not_done)
{
	const struct batch *b = &s->marks[s->first].batch;
	uint64_t now = self_now(), start = later(b->began, before_not_done), seen = later(b->began, s->last_done);
	uint64_t most = now > start ? now - start : 1, least = s->not_done > seen ? s->not_done - seen : 0;

	gate_began(self, s->device, b->began, b->cost, s->not_done);
	estimate_learn(&self->queue.estimates, b, least, most);
	account(self, s, seen, b->cost < now - seen && least < b->cost ? seen + b->cost : now);
	s->ahead -= b->cost < s->ahead ? b->cost : s->ahead;
	s->last_done = now;
	s->stuck = false;
	s->first = (s->first + 1) % SLOT_MARKS;
	s->count--;
}

/* Takes out the first mark if it is done. An event in error is: its work will not go on. */
static bool take_done(struct self *self, struct slot *s)
{
	uint64_t asked = self_now();

	if (REAL(cuEventQuery, s->marks[s->first].event) == CUDA_ERROR_NOT_READY) {
		s->not_done = asked;
		return false;
	}
	done(self, s, s->before);
	/* Whatever is behind it was not done either when this one was not. */
	s->before = s->not_done;
	return true;
}

void marks_reap(struct self *self, struct slot *s)
{
	while (s->count > 0 && take_done(self, s))
		;
	if (s->count == 0 && !s->dirty)
		s->ahead = 0;
}

/* Whether the work that is left fits the window: of what runs now, the part that should have run by now is not left. */
static bool has_room(const struct slot *s, uint64_t now)
{
	if (s->ahead < QUEUE_WINDOW || s->count == 0)
		return true;
	const struct batch *b = &s->marks[s->first].batch;
	uint64_t start = b->began > s->last_done ? b->began : s->last_done, ran = now > start ? now - start : 0;
	return s->ahead - (ran < b->cost ? ran : b->cost) < QUEUE_WINDOW;
}

/* Waits until the first mark is done, or there is room because it is nearly so. Work that does not come to an end
 * is let go on, as it may wait for what is launched next: but slowly. */
static void wait_first(struct self *self, struct slot *s)
{
	uint64_t begin = self_now(), patience = later(s->marks[s->first].batch.cost * 4, STUCK_AFTER);

	if (s->stuck)
		patience = STUCK_EACH;
	while (!take_done(self, s)) {
		uint64_t spent = self_now() - begin, pause = spent / 8;
		if (spent > patience) {
			s->stuck = true;
			return;
		}
		if (has_room(s, begin + spent))
			return;
		nap(pause < 10000 ? 10000 : pause > 50000 ? 50000 : pause);
	}
}

void marks_make_room(struct self *self, struct slot *s)
{
	bool relaxed;
	CUstreamCaptureMode mode = marks_relax(&self->queue, &relaxed);

	if (s->count == 0 && s->dirty)
		marks_put(s);
	marks_reap(self, s);
	while (!has_room(s, self_now())) {
		wait_first(self, s);
		if (s->stuck)
			break;
	}
	if (s->count == 0 && !s->dirty)
		s->ahead = 0;
	marks_restore(mode, relaxed);
}
