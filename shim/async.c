/* Memory in the order of a stream: charged by what its pools reserve. */
#include "memory.h"
#include "real.h"

struct request {
	CUdeviceptr *ptr;
	size_t bytes;
	CUmemoryPool pool; /* NULL: the device's current one */
	CUstream stream;
	bool second_form;
};

static CUresult take(void *arg)
{
	struct request *r = arg;
	if (r->pool != NULL)
		return r->second_form ? REAL(cuMemAllocFromPoolAsync_ptsz, r->ptr, r->bytes, r->pool, r->stream)
				      : REAL(cuMemAllocFromPoolAsync, r->ptr, r->bytes, r->pool, r->stream);
	return r->second_form ? REAL(cuMemAllocAsync_ptsz, r->ptr, r->bytes, r->stream)
			      : REAL(cuMemAllocAsync, r->ptr, r->bytes, r->stream);
}

static void give_back(void *arg)
{
	struct request *r = arg;
	if (r->second_form)
		REAL(cuMemFreeAsync_ptsz, *r->ptr, r->stream);
	else
		REAL(cuMemFreeAsync, *r->ptr, r->stream);
	*r->ptr = 0;
}

/* Into a graph that is being captured: it takes its memory when it is launched. */
static CUresult capture(struct self *self, struct request *r)
{
	CUstreamCaptureStatus status;
	CUgraph graph = NULL;
	CUresult result = take(r);

	if (result != CUDA_SUCCESS)
		return result;
	CUresult asked = r->second_form
				 ? REAL(cuStreamGetCaptureInfo_v2_ptsz, r->stream, &status, NULL, &graph, NULL, NULL)
				 : REAL(cuStreamGetCaptureInfo_v2, r->stream, &status, NULL, &graph, NULL, NULL);
	if (asked == CUDA_SUCCESS && graph != NULL)
		table_add(&self->graphs, (uint64_t)(uintptr_t)graph, r->bytes, 0);
	return result;
}

/* The device of a pool that is not known yet: only a device's default pool can be that and be charged here. */
static bool is_pool_of(CUmemoryPool pool, CUdevice device)
{
	CUmemoryPool its;
	return (REAL(cuDeviceGetDefaultMemPool, &its, device) == CUDA_SUCCESS && its == pool) ||
	       (REAL(cuDeviceGetMemPool, &its, device) == CUDA_SUCCESS && its == pool);
}

static CUresult allocate(struct request r)
{
	struct holder h;
	CUmemoryPool pool = r.pool;
	CUdevice of;

	if (r.ptr == NULL || r.bytes == 0 || !memory_holder(&h))
		return take(&r);
	if (queue_captured(&h.self->queue, r.stream, r.second_form))
		return capture(h.self, &r);
	if (pool == NULL && REAL(cuDeviceGetMemPool, &pool, h.device) != CUDA_SUCCESS)
		return take(&r);
	if (pools_device(h.self, pool, &of))
		h.device = of;
	else if (!is_pool_of(pool, h.device))
		return take(&r); /* the host's, or another process's */
	struct pool_call call = {take, give_back, &r};
	uint64_t serial = 0;
	CUresult result = pools_take(h.self, pool, h.device, r.bytes, &call, &serial);
	if (result == CUDA_SUCCESS) {
		struct entry e = {.key = *r.ptr, .bytes = r.bytes, .owner = serial, .device = h.rule, .count = 1};
		table_put(&h.self->asyncs, e);
	}
	return result;
}

CUresult cuMemAllocAsync(CUdeviceptr *ptr, size_t bytes, CUstream stream)
{
	return allocate((struct request){ptr, bytes, NULL, stream, false});
}

CUresult cuMemAllocAsync_ptsz(CUdeviceptr *ptr, size_t bytes, CUstream stream)
{
	return allocate((struct request){ptr, bytes, NULL, stream, true});
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *ptr, size_t bytes, CUmemoryPool pool, CUstream stream)
{
	if (pool == NULL)
		return REAL(cuMemAllocFromPoolAsync, ptr, bytes, pool, stream);
	return allocate((struct request){ptr, bytes, pool, stream, false});
}

CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *ptr, size_t bytes, CUmemoryPool pool, CUstream stream)
{
	if (pool == NULL)
		return REAL(cuMemAllocFromPoolAsync_ptsz, ptr, bytes, pool, stream);
	return allocate((struct request){ptr, bytes, pool, stream, true});
}

/* Frees an address that is not a pool's but a region's, when all work in the stream is done; false where it is not.
 * What is captured is not freed now, and what is freed in the order of no stream is not freed at all. */
static bool free_region(CUdeviceptr ptr, CUstream stream, bool second_form, CUresult *result)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	CUstreamCaptureStatus status;

	if (self == NULL || self->arena.at == NULL || queue_captured(&self->queue, stream, second_form))
		return false;
	if (REAL(cuStreamIsCapturing, stream, &status) == CUDA_ERROR_INVALID_HANDLE)
		return false;
	return regions_free(self, ptr, result);
}

/* Frees an address by `call` if a pool gave it. */
#define FREE_ASYNC(ptr, call) \
	({ \
		struct self *async_self = real_depth == 0 ? self_member() : NULL; \
		struct entry async_entry; \
		bool async_known = async_self != NULL && table_take(&async_self->asyncs, ptr, &async_entry); \
		CUresult async_result = (call); \
		if (async_known && async_result != CUDA_SUCCESS) \
			table_put(&async_self->asyncs, async_entry); \
		else if (async_known) \
			pools_freed(async_self, async_entry.owner, async_entry.bytes); \
		async_result; \
	})

CUresult cuMemFreeAsync(CUdeviceptr ptr, CUstream stream)
{
	CUresult r;

	if (free_region(ptr, stream, false, &r))
		return r;
	return FREE_ASYNC(ptr, MEMORY_FREE(allocations, ptr, REAL(cuMemFreeAsync, ptr, stream)));
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr ptr, CUstream stream)
{
	CUresult r;

	if (free_region(ptr, stream, true, &r))
		return r;
	return FREE_ASYNC(ptr, MEMORY_FREE(allocations, ptr, REAL(cuMemFreeAsync_ptsz, ptr, stream)));
}

CUresult cuMemFree_v2(CUdeviceptr ptr)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	CUresult r;

	if (self != NULL && self->arena.at != NULL && regions_free(self, ptr, &r))
		return r;
	return FREE_ASYNC(ptr, MEMORY_FREE(allocations, ptr, REAL(cuMemFree_v2, ptr)));
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props)
{
	struct holder h;
	CUresult r = REAL(cuMemPoolCreate, pool, props);

	if (r == CUDA_SUCCESS && props->location.type == CU_MEM_LOCATION_TYPE_DEVICE &&
	    memory_holder_of(&h, props->location.id))
		pools_add(h.self, *pool, h.device);
	return r;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	return self ? pools_destroy(self, pool) : REAL(cuMemPoolDestroy, pool);
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep)
{
	CUresult r = REAL(cuMemPoolTrimTo, pool, keep);
	struct self *self = real_depth == 0 ? self_member() : NULL;

	if (self != NULL)
		pools_recount(self, false);
	return r;
}
