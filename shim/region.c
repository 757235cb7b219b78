/* One region: see region.h. */
#include "region.h"

#include <stdlib.h>

#include "memory.h"
#include "real.h"

uint32_t region_block(const struct region *r, uint64_t address)
{
	return r->block ? (uint32_t)((address - r->base) / r->block) : 0;
}

bool region_has(const struct region *r, uint64_t address)
{
	if (r->block == 0)
		return !r->late;
	uint32_t size = r->sizes[region_block(r, address)];
	return size != 0 && size != REGION_LATE;
}

bool region_begins(const struct region *r, uint64_t address)
{
	return (r->block ? (address - r->base) % r->block : address - r->base) == 0 && region_has(r, address);
}

static void forget(struct region *r)
{
	free(r->sizes);
	free(r->slots);
	free(r->piece);
	free(r);
}

void region_destroy(struct self *self, struct region *r)
{
	uint64_t out = 0;

	for (uint32_t i = 0; i < r->pieces; i++) {
		if (r->piece[i].on_device)
			piece_strip(r, i);
		else
			out += piece_bytes(r, i);
	}
	REAL(cuMemAddressFree, r->base, r->bytes);
	arena_free(&self->arena, r->chunks, r->slots);
	ledger_swap(&self->ledger, r->rule, -(int64_t)r->bytes, -(int64_t)out);
	ledger_release(&self->ledger, r->rule, r->bytes);
	forget(r);
}

static struct region *describe(const struct holder *h, uint64_t bytes, uint64_t asked, uint32_t block)
{
	struct region *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->bytes = bytes;
	r->asked = asked;
	r->ctx = h->ctx;
	r->device = h->device;
	r->rule = h->rule;
	r->block = block;
	r->chunks = (uint32_t)(bytes / WEIR_CHUNK);
	r->pieces = (r->chunks + PIECE_CHUNKS - 1) / PIECE_CHUNKS;
	r->slots = calloc(r->chunks, sizeof *r->slots);
	r->piece = calloc(r->pieces, sizeof *r->piece);
	if (block != 0)
		r->sizes = calloc(WEIR_CHUNK / block, sizeof *r->sizes);
	if (r->slots != NULL && r->piece != NULL && (block == 0 || r->sizes != NULL))
		return r;
	forget(r);
	return NULL;
}

/* Gives a region its addresses, its slots and the device's memory. */
static CUresult furnish(const struct holder *h, struct region *r)
{
	struct arena *arena = &h->self->arena;
	CUresult e = REAL(cuMemAddressReserve, &r->base, r->bytes, WEIR_CHUNK, 0, 0);

	if (e != CUDA_SUCCESS)
		return e;
	if (!arena_claim(arena, r->base, r->chunks, r->slots)) {
		REAL(cuMemAddressFree, r->base, r->bytes);
		self_complain("the arena has no room for %llu bytes, which is within the limit",
			      (unsigned long long)r->bytes);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	for (uint32_t i = 0; i < r->pieces && e == CUDA_SUCCESS; i++) {
		struct patience patience = {0};
		do
			e = piece_back(r, i);
		while (memory_again(h->self, e, &patience));
	}
	if (e == CUDA_SUCCESS) {
		ledger_swap(&h->self->ledger, r->rule, (int64_t)r->bytes, 0);
		return e;
	}
	for (uint32_t i = 0; i < r->pieces; i++)
		if (r->piece[i].on_device)
			piece_strip(r, i);
	REAL(cuMemAddressFree, r->base, r->bytes);
	arena_free(arena, r->chunks, r->slots);
	return e;
}

CUresult region_make(const struct holder *h, uint64_t bytes, uint64_t asked, uint32_t block, struct region **out)
{
	struct region *r = describe(h, bytes, asked, block);
	CUresult e = r != NULL ? furnish(h, r) : CUDA_ERROR_OUT_OF_MEMORY;

	if (e == CUDA_SUCCESS)
		*out = r;
	else if (r != NULL)
		forget(r);
	return e;
}
