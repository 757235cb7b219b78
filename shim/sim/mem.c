/* Memory of a device: plain, pitched and managed. Its bytes are pages of this process, real when touched. */
#include "sim.h"

#include <string.h>

#define ALIGN 512 /* of allocations, in what they take, and of rows */

CUresult charge(int device, uint64_t bytes)
{
	if (fault_alloc())
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (state_charge(device, bytes))
		return CUDA_SUCCESS;
	pools_trim(device); /* what pools keep for later is not kept from others */
	return state_charge(device, bytes) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult allocate(struct ctx *c, uint64_t bytes, enum range_kind kind, CUdeviceptr *out)
{
	uint64_t size = round_up(bytes, ALIGN);
	CUresult r = size ? charge(c->device, size) : CUDA_ERROR_OUT_OF_MEMORY;
	if (r)
		return r;
	void *p = pages_map(size);
	struct range range = { .base = (uintptr_t)p, .size = bytes, .kind = kind, .ctx = c, .device = c->device,
			       .charge = size, .access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
	if (p && range_add(&memory, &range)) {
		*out = range.base;
		return CUDA_SUCCESS;
	}
	if (p)
		pages_unmap(range.base, size);
	state_discharge(c->device, size);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult alloc(CUdeviceptr *out, size_t bytes, enum range_kind kind)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	if (!out || !bytes)
		return CUDA_ERROR_INVALID_VALUE;
	return allocate(c, bytes, kind, out);
}

static CUresult alloc_pitch(CUdeviceptr *out, size_t *pitch, size_t width, size_t height, unsigned element)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	if (!out || !pitch || !width || !height || (element != 4 && element != 8 && element != 16))
		return CUDA_ERROR_INVALID_VALUE;
	uint64_t row = round_up(width, ALIGN);
	if (!row || height > UINT64_MAX / row)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = allocate(c, row * height, PLAIN, out);
	if (!r)
		*pitch = row;
	return r;
}

static void drop(struct range *r)
{
	pages_unmap(r->base, round_up(r->size, ALIGN));
	if (r->serial)
		shared_unlink(r->serial);
	state_discharge(r->device, r->charge);
	range_remove(&memory, r);
}

CUresult memory_free(uint64_t address)
{
	struct range *r = range_find(&memory, address);
	if (!r || r->base != address)
		return CUDA_ERROR_INVALID_VALUE;
	switch (r->kind) {
	case PLAIN:
	case MANAGED:
		drop(r);
		return CUDA_SUCCESS;
	case POOLED:
		return pool_free(r);
	case GRAPHED:
		graph_memory_free(r);
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* Freeing waits for what is queued, as the driver does: nothing still works on the memory. */
static CUresult free_waiting(CUdeviceptr address)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r || !address)
		return r;
	const struct range *range = range_find(&memory, address);
	if (!range || range->base != address)
		return CUDA_ERROR_INVALID_VALUE;
	uint64_t time = 0, ticket = 0;
	for (struct stream *s = c->streams; s; s = s->next) {
		time = later(time, s->tail);
		ticket = later(ticket, s->ticket);
	}
	r = wait_for(time, ticket);
	return r ? r : memory_free(address);
}

void memory_drop(struct ctx *c)
{
	for (size_t i = memory.count; i-- > 0;) {
		struct range *r = memory.at[i];
		if (r->ctx != c)
			continue;
		if (r->kind == PLAIN || r->kind == MANAGED)
			drop(r);
		else
			host_memory_drop(r);
	}
}

static CUresult info(size_t *free, size_t *total)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	uint64_t all = state->info[c->device].memory;
	if (total)
		*total = all;
	if (free)
		*free = all - state_used(c->device);
	return CUDA_SUCCESS;
}

static CUresult address_range(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	const struct range *range = range_find(&memory, address);
	if (!range || range->kind == REGISTERED)
		return CUDA_ERROR_NOT_FOUND;
	if (base)
		*base = range->base;
	if (bytes)
		*bytes = range->size;
	return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t bytes)
{
	ENTER(alloc(out, bytes, PLAIN));
}

CUresult cuMemAllocManaged(CUdeviceptr *out, size_t bytes, unsigned int flags)
{
	if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	ENTER(alloc(out, bytes, MANAGED));
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *out, size_t *pitch, size_t width, size_t height, unsigned int element)
{
	ENTER(alloc_pitch(out, pitch, width, height, element));
}

CUresult cuMemFree_v2(CUdeviceptr address)
{
	ENTER(free_waiting(address));
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total)
{
	ENTER(info(free, total));
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
	ENTER(address_range(base, bytes, address));
}

/* The old forms: no address of this driver fits them. */
CUresult cuMemGetInfo(unsigned int *free, unsigned int *total)
{
	size_t f = 0, t = 0;
	CUresult r = cuMemGetInfo_v2(&f, &t);
	if (!r && free)
		*free = f > UINT32_MAX ? UINT32_MAX : (unsigned int)f;
	if (!r && total)
		*total = t > UINT32_MAX ? UINT32_MAX : (unsigned int)t;
	return r;
}

CUresult cuMemAlloc(unsigned int *out, unsigned int bytes)
{
	(void)out, (void)bytes;
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemAllocPitch(unsigned int *out, unsigned int *pitch, unsigned int width, unsigned int height,
			 unsigned int element)
{
	(void)out, (void)pitch, (void)width, (void)height, (void)element;
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemFree(unsigned int address)
{
	(void)address;
	return CUDA_ERROR_INVALID_VALUE;
}
