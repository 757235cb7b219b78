/* Streams: each is the time at which all that was submitted to it has run. */
#include "sim.h"

static struct stream *add(struct ctx *c, unsigned flags, int priority)
{
	static uint64_t id;
	struct stream *s = handle_new(STREAM, sizeof *s);
	if (!s)
		return NULL;
	s->ctx = c;
	s->flags = flags;
	s->priority = priority;
	s->id = ++id;
	s->next = c->streams;
	c->streams = s;
	return s;
}

/* A context's legacy stream, and that of the calling thread, are there when they are first named. */
static struct stream *legacy(struct ctx *c)
{
	if (!c->legacy && (c->legacy = add(c, 0, 0)))
		c->legacy->implicit = true;
	return c->legacy;
}

static struct stream *own(struct ctx *c)
{
	for (struct stream *s = c->streams; s; s = s->next)
		if (s->implicit && s != c->legacy && pthread_equal(s->thread, pthread_self()))
			return s;
	struct stream *s = add(c, 0, 0);
	if (s) {
		s->implicit = true;
		s->thread = pthread_self();
	}
	return s;
}

CUresult stream_find(CUstream handle, struct stream **out)
{
	struct ctx *c;
	if (handle && handle != CU_STREAM_LEGACY && handle != CU_STREAM_PER_THREAD) {
		*out = (struct stream *)handle;
		if (!handle_is(handle, STREAM))
			return CUDA_ERROR_INVALID_HANDLE;
		return fault_lost((*out)->ctx->device) ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
	}
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	*out = handle == CU_STREAM_PER_THREAD ? own(c) : legacy(c);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static void follow(struct stream *s, const struct stream *other)
{
	s->tail = later(s->tail, other->tail);
	s->ticket = later(s->ticket, other->ticket);
}

void stream_join(struct stream *s)
{
	if (s->flags & CU_STREAM_NON_BLOCKING)
		return;
	if (s != s->ctx->legacy) {
		if (s->ctx->legacy)
			follow(s, s->ctx->legacy);
		return;
	}
	for (const struct stream *o = s->ctx->streams; o; o = o->next)
		if (!(o->flags & CU_STREAM_NON_BLOCKING) && !o->capture)
			follow(s, o);
}

CUresult stream_wait(struct stream *s)
{
	stream_join(s);
	int device = s->ctx->device;
	CUresult r = wait_for(s->tail, s->ticket);
	pools_settle(device);
	return r;
}

static void unlink_stream(struct stream *s)
{
	struct stream **p = &s->ctx->streams;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	if (s->capture)
		capture_leave(s);
	handle_free(s);
}

void streams_drop(struct ctx *c)
{
	while (c->streams)
		unlink_stream(c->streams);
	c->legacy = NULL;
}

static CUresult create(CUstream *out, unsigned flags, int priority)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	if (!out || flags & ~(unsigned)CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUstream)add(c, flags, priority > 0 ? 0 : priority < -5 ? -5 : priority);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* What was submitted runs; its memory in pools is as free as if somebody had waited. */
static CUresult destroy(CUstream handle)
{
	if (!handle_is(handle, STREAM) || ((struct stream *)handle)->implicit)
		return CUDA_ERROR_INVALID_HANDLE;
	unlink_stream((struct stream *)handle);
	return CUDA_SUCCESS;
}

static CUresult synchronize(CUstream handle)
{
	struct stream *s;
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	if (capturing(s)) {
		capture_spoil(s);
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return stream_wait(s);
}

static CUresult query(CUstream handle)
{
	struct stream *s;
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	if (capturing(s)) {
		capture_spoil(s);
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	stream_join(s);
	return s->tail <= timeline_now() && host_done(s->ticket) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuStreamCreate(CUstream *out, unsigned int flags)
{
	ENTER(create(out, flags, 0));
}

CUresult cuStreamCreateWithPriority(CUstream *out, unsigned int flags, int priority)
{
	ENTER(create(out, flags, priority));
}

CUresult cuStreamDestroy(CUstream s)
{
	ENTER(destroy(s));
}

CUresult cuStreamDestroy_v2(CUstream s)
{
	ENTER(destroy(s));
}

CUresult cuStreamSynchronize(CUstream s)
{
	ENTER(synchronize(s));
}

CUresult cuStreamQuery(CUstream s)
{
	ENTER(query(s));
}

#define WITH_STREAM(valid) \
	struct stream *s; \
	CUresult r = stream_find(handle, &s); \
	if (r || !(valid)) \
		return r ? r : CUDA_ERROR_INVALID_VALUE

static CUresult get_flags(CUstream handle, unsigned *out)
{
	WITH_STREAM(out != NULL);
	*out = s->flags;
	return CUDA_SUCCESS;
}

static CUresult get_priority(CUstream handle, int *out)
{
	WITH_STREAM(out != NULL);
	*out = s->priority;
	return CUDA_SUCCESS;
}

static CUresult get_ctx(CUstream handle, CUcontext *out)
{
	WITH_STREAM(out != NULL);
	*out = (CUcontext)s->ctx;
	return CUDA_SUCCESS;
}

static CUresult get_id(CUstream handle, unsigned long long *out)
{
	WITH_STREAM(out != NULL);
	*out = s->id;
	return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream s, unsigned int *out)
{
	ENTER(get_flags(s, out));
}

CUresult cuStreamGetPriority(CUstream s, int *out)
{
	ENTER(get_priority(s, out));
}

CUresult cuStreamGetCtx(CUstream s, CUcontext *out)
{
	ENTER(get_ctx(s, out));
}

CUresult cuStreamGetId(CUstream s, unsigned long long *out)
{
	ENTER(get_id(s, out));
}

/* Managed memory is every stream's. */
static CUresult attach(CUstream handle, CUdeviceptr address)
{
	WITH_STREAM(range_find(&memory, address) != NULL);
	return CUDA_SUCCESS;
}

CUresult cuStreamAttachMemAsync(CUstream s, CUdeviceptr address, size_t bytes, unsigned int flags)
{
	(void)bytes, (void)flags;
	ENTER(attach(s, address));
}
