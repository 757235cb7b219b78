/* Memory of the host that the driver knows: allocated or registered, and what it says of any address. */
#include "sim.h"

#include <string.h>

static CUresult host_alloc(void **out, size_t bytes, unsigned flags)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	if (!out || !bytes)
		return CUDA_ERROR_INVALID_VALUE;
	uint64_t size = round_up(bytes, 4096);
	void *p = size ? pages_map(size) : NULL;
	struct range range = { .base = (uintptr_t)p, .size = bytes, .kind = PINNED, .ctx = c, .device = c->device,
			       .access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE, .flags = flags };
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!range_add(&memory, &range)) {
		pages_unmap(range.base, size);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*out = p;
	return CUDA_SUCCESS;
}

void host_memory_drop(struct range *r)
{
	if (r->kind == PINNED)
		pages_unmap(r->base, round_up(r->size, 4096));
	if (r->kind == IMPORTED)
		pages_unmap(r->base, r->size);
	range_remove(&memory, r);
}

static CUresult forget(void *p, enum range_kind kind, CUresult otherwise)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	struct range *range = range_find(&memory, (uintptr_t)p);
	if (r)
		return r;
	if (!range || range->base != (uintptr_t)p || range->kind != kind)
		return otherwise;
	host_memory_drop(range);
	return CUDA_SUCCESS;
}

static CUresult host_register(void *p, size_t bytes, unsigned flags)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	uint64_t base = (uintptr_t)p;
	if (!p || !bytes || base + bytes < base)
		return CUDA_ERROR_INVALID_VALUE;
	if (capture_forbids())
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	for (size_t i = 0; i < memory.count; i++)
		if (memory.at[i]->base < base + bytes && base < memory.at[i]->base + memory.at[i]->size)
			return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	struct range range = { .base = base, .size = bytes, .kind = REGISTERED, .ctx = c, .device = c->device,
			       .access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE, .flags = flags };
	return range_add(&memory, &range) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static const struct range *host_range(void *p)
{
	const struct range *r = range_find(&memory, (uintptr_t)p);
	return r && (r->kind == PINNED || r->kind == REGISTERED) ? r : NULL;
}

static CUresult device_pointer(CUdeviceptr *out, void *p, unsigned flags)
{
	if (!out || flags || !host_range(p))
		return CUDA_ERROR_INVALID_VALUE;
	*out = (uintptr_t)p;
	return CUDA_SUCCESS;
}

static CUresult get_flags(unsigned *out, void *p)
{
	if (!out || !host_range(p))
		return CUDA_ERROR_INVALID_VALUE;
	*out = host_range(p)->flags;
	return CUDA_SUCCESS;
}

CUresult cuMemAllocHost_v2(void **out, size_t bytes)
{
	ENTER(host_alloc(out, bytes, 0));
}

CUresult cuMemHostAlloc(void **out, size_t bytes, unsigned int flags)
{
	ENTER(host_alloc(out, bytes, flags));
}

CUresult cuMemFreeHost(void *p)
{
	ENTER(forget(p, PINNED, CUDA_ERROR_INVALID_VALUE));
}

CUresult cuMemHostRegister_v2(void *p, size_t bytes, unsigned int flags)
{
	ENTER(host_register(p, bytes, flags));
}

CUresult cuMemHostUnregister(void *p)
{
	ENTER(forget(p, REGISTERED, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED));
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *p, unsigned int flags)
{
	ENTER(device_pointer(out, p, flags));
}

CUresult cuMemHostGetFlags(unsigned int *flags, void *p)
{
	ENTER(get_flags(flags, p));
}

/* Managed memory lies where it lies: advice and prefetching are heard, and change nothing. */
static CUresult known_managed(CUdeviceptr address, size_t bytes)
{
	const struct range *r = range_find(&memory, address);
	return r && r->kind == MANAGED && bytes && span_ok(address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device)
{
	(void)advice, (void)device;
	ENTER(known_managed(address, bytes));
}

CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream)
{
	(void)device, (void)stream;
	ENTER(known_managed(address, bytes));
}

static CUresult attribute(void *value, CUpointer_attribute which, CUdeviceptr address)
{
	const struct range *r = range_find(&memory, address);
	if (!value || !r)
		return CUDA_ERROR_INVALID_VALUE;
	bool host = r->kind == PINNED || r->kind == REGISTERED;
	switch (which) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		*(CUcontext *)value = (CUcontext)r->ctx;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		*(unsigned *)value = host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		*(CUdeviceptr *)value = address;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		*(void **)value = (void *)(uintptr_t)address;
		return host || r->kind == MANAGED ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
		*(unsigned long long *)value = r->id;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		*(unsigned char *)value = r->kind == MANAGED;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		*(int *)value = r->device;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		*(CUdeviceptr *)value = r->base;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		*(size_t *)value = r->size;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		*(CUmemoryPool *)value = r->kind == POOLED ? (CUmemoryPool)r->owner : NULL;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

CUresult cuPointerGetAttribute(void *value, CUpointer_attribute which, CUdeviceptr address)
{
	ENTER(attribute(value, which, address));
}

static size_t size_of(CUpointer_attribute which)
{
	switch (which) {
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		return sizeof(unsigned char);
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		return sizeof(int);
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		return sizeof(int);
	default:
		return sizeof(uint64_t);
	}
}

/* The form for several says 0 of what the driver does not know, instead of failing. */
static CUresult attributes(unsigned count, CUpointer_attribute *which, void **values, CUdeviceptr address)
{
	if (!count || !which || !values)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++)
		if (attribute(values[i], which[i], address) && values[i])
			memset(values[i], 0, size_of(which[i]));
	return CUDA_SUCCESS;
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *which, void **values, CUdeviceptr address)
{
	ENTER(attributes(count, which, values, address));
}
