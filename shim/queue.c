/* What is on the devices: see queue.h. */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "marks.h"
#include "real.h"
#include "self.h"

/* The slot that this thread launched into last. */
static _Thread_local struct {
	CUstream stream;
	CUcontext ctx;
	struct slot *slot;
	struct queue *queue;
	uint32_t generation;
	bool second_form;
} last;

/* Its address is the thread's name. */
static _Thread_local char thread_name;

static bool is_default(CUstream stream)
{
	return stream == NULL || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD;
}

static _Atomic(struct slot *) *bucket_of(struct queue *q, CUstream stream)
{
	return &q->bucket[((uint64_t)(uintptr_t)stream * 0x9e3779b97f4a7c15ull) >> 56];
}

/* A free slot of the bucket, or a new one. A slot whose stream is gone is free when its work is done. */
static struct slot *make_slot(_Atomic(struct slot *) *bucket)
{
	struct slot *first = atomic_load(bucket), *s;

	for (s = first; s != NULL; s = s->next) {
		if (pthread_mutex_trylock(&s->lock) != 0)
			continue;
		if (!s->used && s->count == 0)
			return s;
		pthread_mutex_unlock(&s->lock);
	}
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_lock(&s->lock);
	s->next = first;
	atomic_store(bucket, s);
	return s;
}

static bool is_of(const struct slot *s, CUstream stream, CUcontext ctx, const void *thread)
{
	return s->used && s->stream == stream && s->ctx == ctx && s->thread == thread;
}

/* Finds or makes the slot; it is locked. Called with queue.lock held. */
static struct slot *find_slot(struct queue *q, CUstream stream, CUcontext ctx, const void *thread, uint32_t device)
{
	_Atomic(struct slot *) *bucket = bucket_of(q, stream);
	struct slot *s;

	for (s = atomic_load(bucket); s != NULL; s = s->next) {
		pthread_mutex_lock(&s->lock);
		if (is_of(s, stream, ctx, thread))
			return s;
		pthread_mutex_unlock(&s->lock);
	}
	s = make_slot(bucket);
	if (s == NULL)
		return NULL;
	/* Events are of a context: those of another cannot be used again. */
	for (int i = 0; s->ctx != ctx && i < SLOT_MARKS; i++) {
		if (s->marks[i].event != NULL)
			REAL(cuEventDestroy_v2, s->marks[i].event);
		s->marks[i].event = NULL;
	}
	s->stream = stream;
	s->ctx = ctx;
	s->thread = thread;
	s->device = device;
	s->used = true;
	s->dirty = s->stuck = false;
	s->ahead = s->last_done = s->not_done = s->before = 0;
	s->first = s->count = 0;
	memset(&s->batch, 0, sizeof s->batch);
	return s;
}

/* The slot of a launch, locked; NULL where the rules do not speak of the device. */
static struct slot *slot_of(struct self *self, const struct launch *l)
{
	struct queue *q = &self->queue;
	CUcontext ctx = NULL;
	CUdevice device;

	if (is_default(l->stream) || l->stream != last.stream)
		REAL(cuCtxGetCurrent, &ctx);
	else
		ctx = last.ctx;
	if (last.slot != NULL && last.stream == l->stream && last.ctx == ctx && last.second_form == l->second_form &&
	    last.queue == q && last.generation == atomic_load_explicit(&q->generation, memory_order_acquire)) {
		pthread_mutex_lock(&last.slot->lock);
		if (last.generation == atomic_load(&q->generation))
			return last.slot;
		pthread_mutex_unlock(&last.slot->lock);
	}
	bool own = l->stream == CU_STREAM_PER_THREAD || (l->stream == NULL && l->second_form);
	uint32_t generation = atomic_load(&q->generation);
	if (REAL(cuCtxGetCurrent, &ctx) != CUDA_SUCCESS || ctx == NULL)
		return NULL;
	if (REAL(cuCtxGetDevice, &device) != CUDA_SUCCESS || self_rule(self, device) < 0)
		return NULL;
	pthread_mutex_lock(&q->lock);
	struct slot *s = find_slot(q, l->stream, ctx, own ? &thread_name : NULL, (uint32_t)self_rule(self, device));
	pthread_mutex_unlock(&q->lock);
	last.stream = l->stream;
	last.ctx = ctx;
	last.slot = s;
	last.queue = q;
	last.generation = generation;
	last.second_form = l->second_form;
	return s;
}

struct slot *queue_enter(struct self *self, const struct launch *l)
{
	for (;;) {
		struct slot *s = slot_of(self, l);
		if (s == NULL)
			return NULL;
		if (s->ahead >= QUEUE_WINDOW)
			marks_make_room(self, s);
		/* What was never seen is alone between two marks: so it is known from then on. */
		if (s->batch.launches > 0 && estimate_of(&self->queue.estimates, estimate_key(l->what, l->threads)) == 0)
			marks_put(s);
		if (gate_open(self, s->device))
			return s;
		uint32_t device = s->device;
		pthread_mutex_unlock(&s->lock);
		gate_wait(self, device);
	}
}

void queue_leave(struct self *self, struct slot *s, const struct launch *l, bool launched)
{
	if (launched) {
		struct pages *p = atomic_load_explicit(&self->pages, memory_order_acquire);
		_Atomic uint64_t *launches = &p->cells->cell[p->cell].device[s->device].launches;
		uint16_t key = estimate_key(l->what, l->threads);
		uint32_t known = estimate_of(&self->queue.estimates, key);
		uint64_t cost = known ? known : QUEUE_UNKNOWN;

		atomic_fetch_add_explicit(launches, 1, memory_order_relaxed);
		if (s->batch.launches == 0)
			s->batch.began = self_now();
		batch_add(&s->batch, key, cost);
		s->ahead += cost;
		s->dirty = true;
		/* From another thread, the stream of this one could not be marked. */
		if (s->batch.cost >= QUEUE_WINDOW / 4 || s->thread != NULL)
			marks_put(s);
	}
	pthread_mutex_unlock(&s->lock);
}

bool queue_captured(struct queue *q, CUstream stream, bool second_form)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

	if (atomic_load_explicit(&q->captures, memory_order_acquire) <= 0)
		return false;
	CUresult r = second_form ? REAL(cuStreamIsCapturing_ptsz, stream, &status)
				 : REAL(cuStreamIsCapturing, stream, &status);
	return r == CUDA_SUCCESS && status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* Calls for all slots, locked one after the other. */
#define EACH_SLOT(q, s) \
	for (int each = 0; each < QUEUE_BUCKETS; each++) \
		for (struct slot *s = atomic_load(&(q)->bucket[each]); s != NULL; s = s->next)

static struct self *self_of(struct queue *q)
{
	return (struct self *)((char *)q - offsetof(struct self, queue));
}

/* Marks what is behind the last mark, as far as it can be done from this thread. */
static void mark_rest(struct queue *q, struct slot *s)
{
	if (!s->dirty || s->thread != NULL || queue_captured(q, s->stream, false))
		return;
	marks_put(s);
}

static bool slot_idle(struct queue *q, struct slot *s)
{
	if (!s->dirty && s->count == 0)
		return true;
	CUcontext popped;
	if (REAL(cuCtxPushCurrent_v2, s->ctx) != CUDA_SUCCESS)
		return true; /* the context is gone, with all its work */
	marks_reap(self_of(q), s);
	mark_rest(q, s);
	marks_reap(self_of(q), s);
	REAL(cuCtxPopCurrent_v2, &popped);
	return s->count == 0;
}

bool queue_idle(struct queue *q, uint32_t device)
{
	bool relaxed, idle = true;
	CUstreamCaptureMode mode = marks_relax(q, &relaxed);

	/* A slot that becomes this device's just now has seen the closed gate, or is seen here. */
	EACH_SLOT (q, s) {
		if (!idle || atomic_load(&s->device) != device)
			continue;
		idle = pthread_mutex_trylock(&s->lock) == 0;
		if (!idle)
			continue;
		idle = slot_idle(q, s);
		pthread_mutex_unlock(&s->lock);
	}
	marks_restore(mode, relaxed);
	return idle;
}

void queue_before_capture(struct queue *q)
{
	bool relaxed;

	atomic_fetch_add(&q->captures, 1);
	CUstreamCaptureMode mode = marks_relax(q, &relaxed); /* another may go on */
	EACH_SLOT (q, s) {
		pthread_mutex_lock(&s->lock);
		slot_idle(q, s);
		pthread_mutex_unlock(&s->lock);
	}
	marks_restore(mode, relaxed);
}

/* A stream's name, also where it is a thread's own: a capture is ended where it was begun. */
static uint64_t origin(CUstream stream, bool second_form)
{
	bool own = stream == CU_STREAM_PER_THREAD || (stream == NULL && second_form);
	return (uint64_t)(uintptr_t)(own ? (void *)&thread_name : (void *)stream);
}

void queue_capture_began(struct queue *q, CUstream stream, bool second_form, bool began)
{
	struct entry e = {.key = origin(stream, second_form), .count = 1};
	CUcontext ctx = NULL;

	REAL(cuCtxGetCurrent, &ctx);
	e.owner = (uint64_t)(uintptr_t)ctx;
	if (began)
		queue_capture_ended(q, stream, second_form); /* one before, of which nobody saw the end */
	if (!began || e.key == 0 || !table_put(&q->capturing, e))
		atomic_fetch_sub(&q->captures, 1);
}

bool queue_capture_ended(struct queue *q, CUstream stream, bool second_form)
{
	struct entry e;
	uint64_t key = origin(stream, second_form);
	bool known = key != 0 && table_take(&q->capturing, key, &e);

	if (known)
		atomic_fetch_sub(&q->captures, 1);
	return known;
}

void queue_forget_stream(struct queue *q, CUstream stream)
{
	bool relaxed;

	if (is_default(stream))
		return;
	CUstreamCaptureMode mode = marks_relax(q, &relaxed);
	for (struct slot *s = atomic_load(bucket_of(q, stream)); s != NULL; s = s->next) {
		pthread_mutex_lock(&s->lock);
		if (s->used && s->stream == stream) {
			slot_idle(q, s);
			s->used = s->dirty = false;
			atomic_fetch_add(&q->generation, 1);
		}
		pthread_mutex_unlock(&s->lock);
	}
	marks_restore(mode, relaxed);
}

void queue_freeze(struct queue *q, CUcontext ctx)
{
	pthread_mutex_lock(&q->lock);
	EACH_SLOT (q, s) {
		pthread_mutex_lock(&s->lock);
		if (s->ctx != ctx)
			pthread_mutex_unlock(&s->lock);
	}
}

void queue_thaw(struct queue *q, CUcontext ctx, bool gone)
{
	struct entry e;

	while (gone && table_take_of(&q->capturing, (uint64_t)(uintptr_t)ctx, &e))
		atomic_fetch_sub(&q->captures, 1);
	EACH_SLOT (q, s) {
		if (s->ctx != ctx)
			continue;
		if (gone) {
			for (int i = 0; i < SLOT_MARKS; i++)
				s->marks[i].event = NULL;
			s->used = s->dirty = false;
			s->count = 0;
			s->ctx = NULL;
			atomic_fetch_add(&q->generation, 1);
		}
		pthread_mutex_unlock(&s->lock);
	}
	pthread_mutex_unlock(&q->lock);
}
