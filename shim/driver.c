/* The wrapped calls that are neither memory nor launches: beginning, finding functions, streams. */
#include <string.h>

#include "memory.h"
#include "real.h"

static struct self *holder(void)
{
	return real_depth == 0 ? self_member() : NULL;
}

static bool uuid(int ordinal, uint8_t out[16])
{
	CUuuid id;
	CUresult r = REAL(cuDeviceGetUuid_v2, &id, ordinal);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		r = REAL(cuDeviceGetUuid, &id, ordinal);
	memcpy(out, id.bytes, 16);
	return r == CUDA_SUCCESS;
}

/* Pools shrink when the program waits for its streams, which it does without us: others of the container are
 * to have the memory even if this process never calls again. */
#define RECOUNT_EVERY 100000000ull

static uint64_t tick(struct self *self)
{
	static _Atomic uint64_t counted;
	uint64_t again = gate_tick(self), now = self_now();

	if (!pools_any(self))
		return again;
	if (now - atomic_load(&counted) >= RECOUNT_EVERY) {
		atomic_store(&counted, now);
		pools_recount(self, false);
	}
	return again < RECOUNT_EVERY ? again : RECOUNT_EVERY;
}

const struct self_driver self_driver = {uuid, tick, swap_adopt};

CUresult cuInit(unsigned int flags)
{
	if (real_depth == 0 && self_state() == SELF_REFUSED)
		return CUDA_ERROR_NOT_PERMITTED;
	return REAL(cuInit, flags);
}

/* The driver is asked first: what it does not have under this name and version, nobody has. */
static void put_ours(const char *symbol, int version, void **fn)
{
	void *ours = real_shadow(*fn);
	if (ours != NULL)
		*fn = ours;
	else if (*fn != NULL && real_is_form(symbol))
		self_debug("%s of version %d is none that the shim knows: the driver's own is used", symbol, version);
}

CUresult cuGetProcAddress(const char *symbol, void **fn, int version, cuuint64_t flags)
{
	CUresult r = REAL(cuGetProcAddress, symbol, fn, version, flags);
	if (r == CUDA_SUCCESS && fn != NULL)
		put_ours(symbol, version, fn);
	return r;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **fn, int version, cuuint64_t flags,
			     CUdriverProcAddressQueryResult *status)
{
	CUresult r = REAL(cuGetProcAddress_v2, symbol, fn, version, flags, status);
	if (r == CUDA_SUCCESS && fn != NULL)
		put_ours(symbol, version, fn);
	return r;
}

/* What is captured in a stream ends with it. */
#define DESTROY(stream, call) \
	({ \
		struct self *destroy_self = holder(); \
		bool destroy_captures = false; \
		if (destroy_self != NULL) { \
			queue_forget_stream(&destroy_self->queue, stream); \
			destroy_captures = queue_capture_ended(&destroy_self->queue, stream, false); \
		} \
		CUresult destroy_result = (call); \
		if (destroy_captures && destroy_result != CUDA_SUCCESS) { \
			atomic_fetch_add(&destroy_self->queue.captures, 1); \
			queue_capture_began(&destroy_self->queue, stream, false, true); \
		} \
		destroy_result; \
	})

CUresult cuStreamDestroy(CUstream stream)
{
	return DESTROY(stream, REAL(cuStreamDestroy, stream));
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
	return DESTROY(stream, REAL(cuStreamDestroy_v2, stream));
}

/* While anything is captured, launches ask whether theirs is: it is counted before it begins. */
#define BEGIN_CAPTURE(stream, second_form, call) \
	({ \
		struct self *begin_self = holder(); \
		if (begin_self != NULL) { \
			swap_enter(begin_self); \
			queue_before_capture(&begin_self->queue); \
			swap_leave(begin_self); \
		} \
		CUresult begin_result = (call); \
		if (begin_self != NULL) \
			queue_capture_began(&begin_self->queue, stream, second_form, begin_result == CUDA_SUCCESS); \
		begin_result; \
	})

CUresult cuStreamBeginCapture(CUstream stream)
{
	return BEGIN_CAPTURE(stream, false, REAL(cuStreamBeginCapture, stream));
}

CUresult cuStreamBeginCapture_ptsz(CUstream stream)
{
	return BEGIN_CAPTURE(stream, true, REAL(cuStreamBeginCapture_ptsz, stream));
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
	return BEGIN_CAPTURE(stream, false, REAL(cuStreamBeginCapture_v2, stream, mode));
}

CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, CUstreamCaptureMode mode)
{
	return BEGIN_CAPTURE(stream, true, REAL(cuStreamBeginCapture_v2_ptsz, stream, mode));
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *dependencies, const void *edges,
				     size_t count, CUstreamCaptureMode mode)
{
	return BEGIN_CAPTURE(stream, false,
			     REAL(cuStreamBeginCaptureToGraph, stream, graph, dependencies, edges, count, mode));
}

CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
					  const void *edges, size_t count, CUstreamCaptureMode mode)
{
	return BEGIN_CAPTURE(stream, true,
			     REAL(cuStreamBeginCaptureToGraph_ptsz, stream, graph, dependencies, edges, count, mode));
}

/* Counting one too many keeps the memory where it is, and frees nothing; one too few would gate what is being captured.
 * A capture that failed ends with an error. */
static CUresult end_capture(CUresult r, CUstream stream, bool second_form)
{
	struct self *self = holder();

	if (self == NULL)
		return r;
	if (r == CUDA_SUCCESS || !queue_captured(&self->queue, stream, second_form))
		queue_capture_ended(&self->queue, stream, second_form);
	if (self->arena.at != NULL)
		regions_free_late(self);
	return r;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
	return end_capture(REAL(cuStreamEndCapture, stream, graph), stream, false);
}

CUresult cuStreamEndCapture_ptsz(CUstream stream, CUgraph *graph)
{
	return end_capture(REAL(cuStreamEndCapture_ptsz, stream, graph), stream, true);
}
