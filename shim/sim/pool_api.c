/* The functions of memory pools, and memory in the order of a stream. */
#include "pool.h"

#include <string.h>

static CUresult alloc(CUdeviceptr *out, size_t bytes, struct pool *pool, CUstream handle)
{
	struct stream *s;
	uint64_t address;
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	if (!out || !bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (capturing(s))
		r = capture_alloc(s, bytes, &address);
	else if (!pool && !(pool = pool_of(s->ctx->device)))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	else
		r = pool_alloc(pool, bytes, &address);
	if (!r)
		*out = address;
	return r;
}

static CUresult alloc_from(CUdeviceptr *out, size_t bytes, CUmemoryPool handle, CUstream s)
{
	struct pool *p;
	CUresult r = pool_find(handle, &p);
	return r ? r : alloc(out, bytes, p, s);
}

/* What a capture frees may not be there before its graph is launched. */
static CUresult free_in(CUdeviceptr address, CUstream handle)
{
	struct stream *s;
	struct op op = { .kind = OP_FREE, .address = address };
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	const struct range *range = range_find(&memory, address);
	if (!capturing(s) && (!range || range->base != address))
		return CUDA_ERROR_INVALID_VALUE;
	return op_submit(s, &op);
}

CUresult cuMemAllocAsync(CUdeviceptr *out, size_t bytes, CUstream s)
{
	ENTER(alloc(out, bytes, NULL, s));
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *out, size_t bytes, CUmemoryPool pool, CUstream s)
{
	ENTER(alloc_from(out, bytes, pool, s));
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream s)
{
	ENTER(free_in(address, s));
}

CUresult cuMemPoolCreate(CUmemoryPool *out, const CUmemPoolProps *props)
{
	ENTER(pool_create(out, props));
}

CUresult cuMemPoolDestroy(CUmemoryPool p)
{
	ENTER(pool_destroy(p));
}

CUresult cuMemPoolTrimTo(CUmemoryPool p, size_t keep)
{
	ENTER(pool_trim(p, keep));
}

CUresult cuMemPoolGetAttribute(CUmemoryPool p, CUmemPool_attribute which, void *value)
{
	ENTER(pool_attribute(p, which, value, false));
}

CUresult cuMemPoolSetAttribute(CUmemoryPool p, CUmemPool_attribute which, void *value)
{
	ENTER(pool_attribute(p, which, value, true));
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *out, CUdevice device)
{
	ENTER(pool_get(out, device, true));
}

CUresult cuDeviceGetMemPool(CUmemoryPool *out, CUdevice device)
{
	ENTER(pool_get(out, device, false));
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool p)
{
	ENTER(pool_set(device, p));
}

/* A pool is for its own device, always: no device reaches another's memory. */
static CUresult set_access(CUmemoryPool handle, const CUmemAccessDesc *access, size_t count)
{
	struct pool *p;
	CUresult r = pool_find(handle, &p);
	if (r || (!access && count))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++)
		if (access[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE || access[i].location.id != pool_device(p) ||
		    access[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
			return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult get_access(CUmemAccess_flags *flags, CUmemoryPool handle, const CUmemLocation *location)
{
	struct pool *p;
	CUresult r = pool_find(handle, &p);
	if (r || !flags || !location)
		return CUDA_ERROR_INVALID_VALUE;
	bool its = location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id == pool_device(p);
	*flags = its ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
	return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAccess(CUmemoryPool p, const CUmemAccessDesc *access, size_t count)
{
	ENTER(set_access(p, access, count));
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool p, CUmemLocation *location)
{
	ENTER(get_access(flags, p, location));
}
