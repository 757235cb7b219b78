/* The functions of memory pools, and memory in the order of a stream. */
#include "pool.h"

#include <string.h>

static CUresult find(CUmemoryPool handle, struct pool **out)
{
	*out = (struct pool *)handle;
	return handle_is(handle, POOL) && !(*out)->dying ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult create(CUmemoryPool *out, const CUmemPoolProps *props)
{
	if (!out || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	if (props->location.type != CU_MEM_LOCATION_TYPE_DEVICE || props->handleTypes)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!device_is(props->location.id))
		return CUDA_ERROR_INVALID_DEVICE;
	*out = (CUmemoryPool)pool_new(props->location.id, props->maxSize);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult destroy(CUmemoryPool handle)
{
	struct pool *p;
	CUresult r = find(handle, &p);
	if (r || p == pool_standard(p->device))
		return CUDA_ERROR_INVALID_VALUE;
	pool_end(p);
	return CUDA_SUCCESS;
}

static CUresult trim(CUmemoryPool handle, size_t keep)
{
	struct pool *p;
	CUresult r = find(handle, &p);
	if (!r)
		pool_trim(p, keep);
	return r;
}

static CUresult get(CUmemoryPool *out, CUdevice device, bool standard_one)
{
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*out = (CUmemoryPool)(standard_one ? pool_standard(device) : pool_of(device));
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult set(CUdevice device, CUmemoryPool handle)
{
	struct pool *p;
	CUresult r = find(handle, &p);
	if (r)
		return r;
	if (!device_is(device) || p->device != device)
		return CUDA_ERROR_INVALID_DEVICE;
	pool_use(p);
	return CUDA_SUCCESS;
}

/* Where an attribute is kept; the first three are ints, the others 64 bits, and the highest ones may be set to 0. */
static CUresult attribute(CUmemoryPool handle, CUmemPool_attribute which, void *value, bool set)
{
	struct pool *p;
	CUresult r = find(handle, &p);
	if (r || !value)
		return CUDA_ERROR_INVALID_VALUE;
	if (which >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
	    which <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES) {
		int *at = &p->reuse[which - 1];
		*(set ? at : (int *)value) = *(set ? (int *)value : at);
		return CUDA_SUCCESS;
	}
	uint64_t *at[] = { &p->threshold, &p->reserved, &p->reserved_high, &p->used, &p->used_high };
	int i = (int)which - CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
	if (i < 0 || i >= (int)(sizeof at / sizeof *at))
		return CUDA_ERROR_INVALID_VALUE;
	if (!set) {
		*(uint64_t *)value = *at[i];
		return CUDA_SUCCESS;
	}
	bool high = which == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH || which == CU_MEMPOOL_ATTR_USED_MEM_HIGH;
	if (i != 0 && (!high || *(uint64_t *)value))
		return CUDA_ERROR_INVALID_VALUE;
	*at[i] = i == 0 ? *(uint64_t *)value : *at[i - 1];
	return CUDA_SUCCESS;
}

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
	CUresult r = find(handle, &p);
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
	ENTER(create(out, props));
}

CUresult cuMemPoolDestroy(CUmemoryPool p)
{
	ENTER(destroy(p));
}

CUresult cuMemPoolTrimTo(CUmemoryPool p, size_t keep)
{
	ENTER(trim(p, keep));
}

CUresult cuMemPoolGetAttribute(CUmemoryPool p, CUmemPool_attribute which, void *value)
{
	ENTER(attribute(p, which, value, false));
}

CUresult cuMemPoolSetAttribute(CUmemoryPool p, CUmemPool_attribute which, void *value)
{
	ENTER(attribute(p, which, value, true));
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *out, CUdevice device)
{
	ENTER(get(out, device, true));
}

CUresult cuDeviceGetMemPool(CUmemoryPool *out, CUdevice device)
{
	ENTER(get(out, device, false));
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool p)
{
	ENTER(set(device, p));
}

/* A pool is for its own device, always: no device reaches another's memory. */
static CUresult set_access(CUmemoryPool handle, const CUmemAccessDesc *access, size_t count)
{
	struct pool *p;
	CUresult r = find(handle, &p);
	if (r || (!access && count))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++)
		if (access[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE || access[i].location.id != p->device ||
		    access[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
			return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult get_access(CUmemAccess_flags *flags, CUmemoryPool handle, const CUmemLocation *location)
{
	struct pool *p;
	CUresult r = find(handle, &p);
	if (r || !flags || !location)
		return CUDA_ERROR_INVALID_VALUE;
	bool its = location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id == p->device;
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
