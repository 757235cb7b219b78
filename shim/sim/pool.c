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

static struct pool *pools, *standard[SIM_DEVICES], *current[SIM_DEVICES];

struct pool *pool_new(int device, uint64_t most)
{
	struct pool *p = handle_new(POOL, sizeof *p);
	if (!p)
		return NULL;
	*p = (struct pool){ .next = pools, .device = device, .most = most, .reuse = { 1, 1, 1 } };
	pools = p;
	return p;
}

struct pool *pool_standard(int device)
{
	if (!standard[device])
		standard[device] = pool_new(device, 0);
	return standard[device];
}

struct pool *pool_of(int device)
{
	return current[device] ? current[device] : pool_standard(device);
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

void pool_trim(struct pool *p, uint64_t keep)
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
			pool_trim(p, p->threshold);
}

void pools_trim(int device)
{
	for (struct pool *p = pools; p; p = p->next)
		if (p->device == device)
			pool_trim(p, 0);
}

static void pool_drop(struct pool *p)
{
	struct pool **at = &pools;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	pool_trim(p, 0);
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

void pool_end(struct pool *p)
{
	if (current[p->device] == p)
		current[p->device] = NULL;
	p->dying = true;
	if (!p->used)
		pool_drop(p);
}

void pool_use(struct pool *p)
{
	current[p->device] = p;
}
