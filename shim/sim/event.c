/* Events: each is the tail that a stream had when the event was recorded in it. */
#include "sim.h"

struct event {
	struct ctx *ctx;
	struct event *next;
	unsigned flags;
	bool recorded;
	uint64_t time, ticket;
	uint64_t captured; /* the capture in which it was recorded last, or 0 */
};

static struct event *all;

static CUresult create(CUevent *out, unsigned flags)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	if (!out || flags > 7 || (flags & CU_EVENT_INTERPROCESS && !(flags & CU_EVENT_DISABLE_TIMING)))
		return CUDA_ERROR_INVALID_VALUE;
	struct event *e = handle_new(EVENT, sizeof *e);
	if (!e)
		return CUDA_ERROR_OUT_OF_MEMORY;
	e->ctx = c;
	e->flags = flags;
	e->next = all;
	all = e;
	*out = (CUevent)e;
	return CUDA_SUCCESS;
}

static CUresult find(CUevent handle, struct event **out)
{
	*out = (struct event *)handle;
	return handle_is(handle, EVENT) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult destroy(CUevent handle)
{
	struct event *e, **p = &all;
	CUresult r = find(handle, &e);
	if (r)
		return r;
	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	handle_free(e);
	return CUDA_SUCCESS;
}

void events_drop(struct ctx *c)
{
	for (struct event **p = &all, *e; (e = *p);) {
		if (e->ctx != c) {
			p = &e->next;
			continue;
		}
		*p = e->next;
		handle_free(e);
	}
}

static CUresult record(CUevent handle, CUstream stream)
{
	struct event *e;
	struct stream *s;
	CUresult r = find(handle, &e);
	if (!r)
		r = stream_find(stream, &s);
	if (r)
		return r;
	if (e->ctx != s->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	e->captured = capture_id(s);
	if (e->captured)
		return CUDA_SUCCESS;
	stream_join(s);
	e->recorded = true;
	e->time = later(s->tail, timeline_now());
	e->ticket = s->ticket;
	return CUDA_SUCCESS;
}

/* A stream that waits for an event of a capture takes part in it: graphs run in the order of their capture. */
static CUresult wait_event(CUstream stream, CUevent handle)
{
	struct event *e;
	struct stream *s;
	CUresult r = find(handle, &e);
	if (!r)
		r = stream_find(stream, &s);
	if (r)
		return r;
	if (e->captured)
		return capture_enter(s, e->captured);
	if (e->recorded && !capturing(s)) {
		s->tail = later(s->tail, e->time);
		s->ticket = later(s->ticket, e->ticket);
	}
	return CUDA_SUCCESS;
}

static bool over(const struct event *e)
{
	return !e->recorded || (e->time <= timeline_now() && host_done(e->ticket));
}

static CUresult query(CUevent handle)
{
	struct event *e;
	CUresult r = find(handle, &e);
	if (r)
		return r;
	if (e->captured)
		return CUDA_ERROR_CAPTURED_EVENT;
	if (capture_forbids())
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (fault_lost(e->ctx->device))
		return CUDA_ERROR_UNKNOWN;
	return over(e) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

static CUresult synchronize(CUevent handle)
{
	struct event *e;
	CUresult r = find(handle, &e);
	if (r)
		return r;
	if (e->captured)
		return CUDA_ERROR_CAPTURED_EVENT;
	int device = e->ctx->device;
	if (fault_lost(device))
		return CUDA_ERROR_UNKNOWN;
	if (e->recorded)
		r = wait_for(e->time, e->ticket);
	pools_settle(device);
	return r;
}

static CUresult elapsed(float *milliseconds, CUevent begin, CUevent end)
{
	struct event *b, *e;
	CUresult r = find(begin, &b);
	if (!r)
		r = find(end, &e);
	if (r || !milliseconds)
		return r ? r : CUDA_ERROR_INVALID_VALUE;
	if (!b->recorded || !e->recorded || (b->flags | e->flags) & CU_EVENT_DISABLE_TIMING)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!over(b) || !over(e))
		return CUDA_ERROR_NOT_READY;
	*milliseconds = (float)((double)(int64_t)(e->time - b->time) / 1e6);
	return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *out, unsigned int flags)
{
	ENTER(create(out, flags));
}

CUresult cuEventDestroy(CUevent e)
{
	ENTER(destroy(e));
}

CUresult cuEventDestroy_v2(CUevent e)
{
	ENTER(destroy(e));
}

CUresult cuEventRecord(CUevent e, CUstream s)
{
	ENTER(record(e, s));
}

CUresult cuEventRecordWithFlags(CUevent e, CUstream s, unsigned int flags)
{
	(void)flags;
	ENTER(record(e, s));
}

CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned int flags)
{
	(void)flags;
	ENTER(wait_event(s, e));
}

CUresult cuEventQuery(CUevent e)
{
	ENTER(query(e));
}

CUresult cuEventSynchronize(CUevent e)
{
	ENTER(synchronize(e));
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end)
{
	ENTER(elapsed(milliseconds, begin, end));
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent begin, CUevent end)
{
	ENTER(elapsed(milliseconds, begin, end));
}

/* Events are not shared by processes here. */
CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent e)
{
	(void)handle, (void)e;
	return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuIpcOpenEventHandle(CUevent *e, CUipcEventHandle handle)
{
	(void)e, (void)handle;
	return CUDA_ERROR_NOT_SUPPORTED;
}
