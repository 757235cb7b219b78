/* What a program asks of its context, and sets in it. */
#include "sim.h"

#define WITH_CONTEXT(valid) \
	struct ctx *c; \
	CUresult r = ctx_current(&c); \
	if (r || !(valid)) \
		return r ? r : CUDA_ERROR_INVALID_VALUE

static size_t limits[] = { [CU_LIMIT_STACK_SIZE] = 1024, [CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20,
			   [CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20 };
#define LIMITS (sizeof limits / sizeof *limits)

static CUresult device(CUdevice *out)
{
	WITH_CONTEXT(out != NULL);
	*out = c->device;
	return CUDA_SUCCESS;
}

static CUresult flags(unsigned *out)
{
	WITH_CONTEXT(out != NULL);
	*out = c->flags;
	return CUDA_SUCCESS;
}

static CUresult named(CUcontext handle, struct ctx **out)
{
	if (!handle)
		return ctx_current(out);
	*out = (struct ctx *)handle;
	return handle_is(handle, CONTEXT) && !(*out)->dead ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult id(CUcontext handle, unsigned long long *out)
{
	struct ctx *c;
	CUresult r = named(handle, &c);
	if (r || !out)
		return r ? r : CUDA_ERROR_INVALID_VALUE;
	*out = c->id;
	return CUDA_SUCCESS;
}

static CUresult version(CUcontext handle, unsigned *out)
{
	struct ctx *c;
	CUresult r = named(handle, &c);
	if (r || !out)
		return r ? r : CUDA_ERROR_INVALID_VALUE;
	*out = WEIR_CUDA_VERSION;
	return CUDA_SUCCESS;
}

static CUresult get_limit(size_t *out, CUlimit limit)
{
	WITH_CONTEXT(out != NULL);
	if ((size_t)limit >= LIMITS)
		return CUDA_ERROR_UNSUPPORTED_LIMIT;
	*out = limits[limit];
	return CUDA_SUCCESS;
}

static CUresult set_limit(CUlimit limit, size_t value)
{
	WITH_CONTEXT(true);
	if ((size_t)limit >= LIMITS)
		return CUDA_ERROR_UNSUPPORTED_LIMIT;
	limits[limit] = value;
	return CUDA_SUCCESS;
}

static CUresult priorities(int *least, int *greatest)
{
	WITH_CONTEXT(true);
	if (least)
		*least = 0;
	if (greatest)
		*greatest = -5;
	return CUDA_SUCCESS;
}

static CUresult no_peer(CUcontext peer)
{
	return handle_is(peer, CONTEXT) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
}

/* Waits for each stream; one that is made meanwhile is no part of what was asked. */
static CUresult synchronize(void)
{
	WITH_CONTEXT(true);
	uint64_t time = 0, ticket = 0;
	for (struct stream *s = c->streams; s; s = s->next) {
		if (capturing(s)) {
			capture_spoil(s);
			return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
		}
		time = later(time, s->tail);
		ticket = later(ticket, s->ticket);
	}
	int on = c->device;
	r = wait_for(time, ticket);
	pools_settle(on);
	return r;
}

CUresult cuCtxGetDevice(CUdevice *out)
{
	ENTER(device(out));
}

CUresult cuCtxGetFlags(unsigned int *out)
{
	ENTER(flags(out));
}

CUresult cuCtxGetId(CUcontext c, unsigned long long *out)
{
	ENTER(id(c, out));
}

CUresult cuCtxGetApiVersion(CUcontext c, unsigned int *out)
{
	ENTER(version(c, out));
}

CUresult cuCtxGetLimit(size_t *out, CUlimit limit)
{
	ENTER(get_limit(out, limit));
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
	ENTER(set_limit(limit, value));
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	ENTER(priorities(least, greatest));
}

CUresult cuCtxSynchronize(void)
{
	ENTER(synchronize());
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int peer_flags)
{
	(void)peer_flags;
	ENTER(no_peer(peer));
}

CUresult cuCtxDisablePeerAccess(CUcontext peer)
{
	ENTER(no_peer(peer));
}
