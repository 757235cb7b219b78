/*
 * Memory pools. A pool takes segments of a device and cuts them into blocks;
 * what is freed is kept for the next allocation, until somebody waits for a
 * stream and there is more than the pool's threshold, or a device has no more
 * for an allocation of another kind.
 */
#include "pool.h"

#include <stdlib.h>

#define SEGMENT (2u << 20)
#define ALIGN 512

struct block {
	struct block *next; /* the one behind it */
	uint64_t base, size;
	bool used;
};

struct segment {
	struct segment *next;
	uint64_t base, size, used;
	struct block *blocks;
};

struct pool {
	struct pool *next;
	int device;
	bool dying; /* destroyed, with memory still in use */
	uint64_t most, threshold, reserved, reserved_high, used, used_high;
	int reuse[3];
	struct segment *segments;
};

static struct pool *pools, *standard[SIM_DEVICES], *current[SIM_DEVICES];

static struct pool *pool_new(int device, uint64_t most)
{
	struct pool *p = handle_new(POOL, sizeof *p);
	if (!p)
		return NULL;
	*p = (struct pool){ .next = pools, .device = device, .most = most, .reuse = { 1, 1, 1 } };
	pools = p;
	return p;
}

static struct pool *standard_of(int device)
{
	if (!standard[device])
		standard[device] = pool_new(device, 0);
	return standard[device];
}

struct pool *pool_of(int device)
{
	return current[device] ? current[device] : standard_of(device);
}

static void segment_drop(struct pool *p, struct segment *g)
{
	struct segment **at = &p->segments;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	pages_unmap(g->base, g->size);
	state_discharge(p->device, g->size);
	p->reserved -= g->size;
	for (struct block *b = g->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(g);
}

static void trim(struct pool *p, uint64_t keep)
{
	for (struct segment *g = p->segments, *next; g && p->reserved > keep; g = next) {
		next = g->next;
		if (!g->used)
			segment_drop(p, g);
	}
}

void pools_settle(int device)
{
	for (struct pool *p = pools; p; p = p->next)
		if (p->device == device)
			trim(p, p->threshold);
}

void pools_trim(int device)
{
	for (struct pool *p = pools; p; p = p->next)
		if (p->device == device)
			trim(p, 0);
}

static void pool_drop(struct pool *p)
{
	struct pool **at = &pools;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	trim(p, 0);
	handle_free(p);
}

static CUresult segment_new(struct pool *p, uint64_t bytes, struct segment **out)
{
	uint64_t size = round_up(bytes, SEGMENT);
	if (!size || (p->most && (size > p->most || p->reserved > p->most - size)))
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = charge(p->device, size);
	if (r)
		return r;
	struct segment *g = malloc(sizeof *g);
	struct block *b = malloc(sizeof *b);
	void *pages = pages_map(size);
	if (!g || !b || !pages) {
		free(g);
		free(b);
		if (pages)
			pages_unmap((uintptr_t)pages, size);
		state_discharge(p->device, size);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*b = (struct block){ .base = (uintptr_t)pages, .size = size };
	*g = (struct segment){ .next = p->segments, .base = b->base, .size = size, .blocks = b };
	p->segments = g;
	p->reserved += size;
	p->reserved_high = later(p->reserved_high, p->reserved);
	*out = g;
	return CUDA_SUCCESS;
}

static struct block *fit(const struct segment *g, uint64_t size)
{
	for (struct block *b = g->blocks; b; b = b->next)
		if (!b->used && b->size >= size)
			return b;
	return NULL;
}

/* Cuts what is not needed off a block. Without host memory the block stays as large as it is. */
static void cut(struct block *b, uint64_t size)
{
	struct block *rest = b->size > size ? malloc(sizeof *rest) : NULL;
	if (!rest)
		return;
	*rest = (struct block){ .next = b->next, .base = b->base + size, .size = b->size - size };
	b->next = rest;
	b->size = size;
}

CUresult pool_alloc(struct pool *p, uint64_t bytes, uint64_t *address)
{
	uint64_t size = round_up(bytes, ALIGN);
	struct segment *g = p->segments;
	struct block *b = NULL;
	if (!size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (; g; g = g->next)
		if ((b = fit(g, size)))
			break;
	if (!g) {
		CUresult r = segment_new(p, size, &g);
		if (r)
			return r;
		b = g->blocks;
	}
	struct range range = { .base = b->base, .size = bytes, .kind = POOLED, .device = p->device, .owner = p,
			       .access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
	if (!range_add(&memory, &range))
		return CUDA_ERROR_OUT_OF_MEMORY;
	cut(b, size);
	b->used = true;
	g->used += b->size;
	p->used += b->size;
	p->used_high = later(p->used_high, p->used);
	*address = b->base;
	return CUDA_SUCCESS;
}

/* Makes one block of neighbours that are free. */
static void join(struct segment *g)
{
	for (struct block *b = g->blocks; b; b = b->next)
		while (!b->used && b->next && !b->next->used) {
			struct block *gone = b->next;
			b->size += gone->size;
			b->next = gone->next;
			free(gone);
		}
}

CUresult pool_free(struct range *r)
{
	struct pool *p = r->owner;
	for (struct segment *g = p->segments; g; g = g->next) {
		if (r->base < g->base || r->base >= g->base + g->size)
			continue;
		struct block *b = g->blocks;
		while (b->base != r->base)
			b = b->next;
		b->used = false;
		g->used -= b->size;
		p->used -= b->size;
		join(g);
		break;
	}
	range_remove(&memory, r);
	if (p->dying && !p->used)
		pool_drop(p);
	return CUDA_SUCCESS;
}

CUresult pool_create(CUmemoryPool *out, const CUmemPoolProps *props)
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

CUresult pool_find(CUmemoryPool handle, struct pool **out)
{
	*out = (struct pool *)handle;
	return handle_is(handle, POOL) && !(*out)->dying ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult pool_destroy(CUmemoryPool handle)
{
	struct pool *p;
	CUresult r = pool_find(handle, &p);
	if (r || p == standard[p->device])
		return CUDA_ERROR_INVALID_VALUE;
	if (current[p->device] == p)
		current[p->device] = NULL;
	p->dying = true;
	if (!p->used)
		pool_drop(p);
	return CUDA_SUCCESS;
}

CUresult pool_trim(CUmemoryPool handle, size_t keep)
{
	struct pool *p;
	CUresult r = pool_find(handle, &p);
	if (!r)
		trim(p, keep);
	return r;
}

CUresult pool_get(CUmemoryPool *out, CUdevice device, bool standard_one)
{
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*out = (CUmemoryPool)(standard_one ? standard_of(device) : pool_of(device));
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult pool_set(CUdevice device, CUmemoryPool handle)
{
	struct pool *p;
	CUresult r = pool_find(handle, &p);
	if (r)
		return r;
	if (!device_is(device) || p->device != device)
		return CUDA_ERROR_INVALID_DEVICE;
	current[device] = p;
	return CUDA_SUCCESS;
}

int pool_device(const struct pool *p)
{
	return p->device;
}

/* Where an attribute is kept; the first three are ints, the others 64 bits, and the highest ones may be set to 0. */
CUresult pool_attribute(CUmemoryPool handle, CUmemPool_attribute which, void *value, bool set)
{
	struct pool *p;
	CUresult r = pool_find(handle, &p);
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
