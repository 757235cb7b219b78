/* Memory that can be swapped: see regions.h. */
#include "regions.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "real.h"
#include "swap.h"

#define LEAST_BLOCK 512u
#define LARGEST_BLOCK (WEIR_CHUNK / 2)
/* In the place of its size: the block was freed, and is there still. */
#define LATE UINT32_MAX

/* The first region that ends behind an address. */
static size_t place_of(const struct regions *rs, uint64_t address)
{
	size_t low = 0, high = rs->count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (rs->at[mid]->base + rs->at[mid]->bytes <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct region *find(const struct regions *rs, uint64_t address)
{
	size_t i = place_of(rs, address);
	return i < rs->count && rs->at[i]->base <= address ? rs->at[i] : NULL;
}

struct region *regions_next(struct regions *rs, uint64_t address)
{
	size_t i = place_of(rs, address);
	return i < rs->count ? rs->at[i] : NULL;
}

/* The block of a region that an address is in; one that is not divided has the block 0. */
static uint32_t block_of(const struct region *r, uint64_t address)
{
	return r->block ? (uint32_t)((address - r->base) / r->block) : 0;
}

/* Whether an address is in memory that somebody has. */
static bool is_had(const struct region *r, uint64_t address)
{
	if (r->block == 0)
		return !r->late;
	uint32_t size = r->sizes[block_of(r, address)];
	return size != 0 && size != LATE;
}

static bool begins(const struct region *r, uint64_t address)
{
	return (r->block ? (address - r->base) % r->block : address - r->base) == 0 && is_had(r, address);
}

static bool insert(struct regions *rs, struct region *r)
{
	if (rs->count == rs->room) {
		size_t room = rs->room ? rs->room * 2 : 64;
		struct region **at = realloc(rs->at, room * sizeof *at);
		if (at == NULL)
			return false;
		rs->at = at;
		rs->room = room;
	}
	size_t i = place_of(rs, r->base);
	memmove(rs->at + i + 1, rs->at + i, (rs->count - i) * sizeof *rs->at);
	rs->at[i] = r;
	rs->count++;
	r->serial = ++rs->serial;
	return true;
}

static void take_out(struct regions *rs, const struct region *r)
{
	size_t i = place_of(rs, r->base);
	memmove(rs->at + i, rs->at + i + 1, (rs->count - i - 1) * sizeof *rs->at);
	rs->count--;
}

static void forget(struct region *r)
{
	free(r->sizes);
	free(r->slots);
	free(r->piece);
	free(r);
}

/* Gives back all that a region has. Nobody else knows it any more. Called with the lock held. */
static void destroy(struct self *self, struct region *r)
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

/* Fills a region whose bytes are charged. Called with the lock held. */
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
	if (e == CUDA_SUCCESS && insert(&h->self->regions, r)) {
		ledger_swap(&h->self->ledger, r->rule, (int64_t)r->bytes, 0);
		return CUDA_SUCCESS;
	}
	for (uint32_t i = 0; i < r->pieces; i++)
		if (r->piece[i].on_device)
			piece_strip(r, i);
	REAL(cuMemAddressFree, r->base, r->bytes);
	arena_free(arena, r->chunks, r->slots);
	return e == CUDA_SUCCESS ? CUDA_ERROR_OUT_OF_MEMORY : e;
}

/* Makes a region. Called with the lock held. */
static CUresult make(const struct holder *h, uint64_t bytes, uint64_t asked, uint32_t block, struct region **out)
{
	enum ledger_answer answer = memory_reserve_swappable(h, bytes);
	CUresult e = CUDA_ERROR_OUT_OF_MEMORY;

	if (answer != LEDGER_YES)
		return answer == LEDGER_LATER ? PROMISE_LATER : e;
	struct region *r = describe(h, bytes, asked, block);
	if (r != NULL)
		e = furnish(h, r);
	if (e == CUDA_SUCCESS) {
		*out = r;
		return e;
	}
	if (r != NULL)
		forget(r);
	ledger_release(&h->self->ledger, h->rule, bytes);
	return e;
}

/* What an allocation takes in chunks, if it takes any. */
static uint64_t in_chunks(size_t bytes)
{
	return (bytes + WEIR_CHUNK - 1) / WEIR_CHUNK * WEIR_CHUNK;
}

static CUresult take_whole(const struct holder *h, size_t bytes, CUdeviceptr *out)
{
	struct region *r;

	if (bytes > UINT64_MAX / 2)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult e = make(h, in_chunks(bytes), bytes, 0, &r);
	if (e == CUDA_SUCCESS)
		*out = r->base;
	return e;
}

/* A region of the context with a free block of this size, or NULL. */
static struct region *with_room(const struct regions *rs, CUcontext ctx, uint32_t block)
{
	for (size_t i = 0; i < rs->count; i++) {
		struct region *r = rs->at[i];
		if (r->block == block && r->ctx == ctx && r->used < WEIR_CHUNK / block)
			return r;
	}
	return NULL;
}

static CUresult take_block(const struct holder *h, size_t bytes, CUdeviceptr *out)
{
	uint32_t block = LEAST_BLOCK, i = 0;
	CUresult e = CUDA_SUCCESS;

	while (block < bytes)
		block *= 2;
	struct region *r = with_room(&h->self->regions, h->ctx, block);
	if (r == NULL)
		e = make(h, WEIR_CHUNK, 0, block, &r);
	if (e != CUDA_SUCCESS)
		return e;
	while (r->sizes[i] != 0)
		i++;
	r->sizes[i] = (uint32_t)bytes;
	r->used++;
	*out = r->base + (uint64_t)i * block;
	return e;
}

CUresult regions_alloc(const struct holder *h, size_t bytes, CUdeviceptr *out)
{
	regions_free_late(h->self);
	for (;;) {
		swap_enter(h->self);
		pthread_mutex_lock(&h->self->regions.lock);
		CUresult e = bytes > LARGEST_BLOCK ? take_whole(h, bytes, out) : take_block(h, bytes, out);
		pthread_mutex_unlock(&h->self->regions.lock);
		swap_leave(h->self);
		if (e != PROMISE_LATER)
			return e;
		promise_wait(h->self, h->rule, in_chunks(bytes));
	}
}

/* The driver frees memory when all work that was given to it before is done. What is swapped out has none. */
static CUresult wait_for_work(struct self *self, CUcontext ctx)
{
	CUcontext popped;

	if (swap_is_out(self))
		return CUDA_SUCCESS;
	CUresult e = REAL(cuCtxPushCurrent_v2, ctx);
	if (e != CUDA_SUCCESS)
		return e;
	e = REAL(cuCtxSynchronize);
	REAL(cuCtxPopCurrent_v2, &popped);
	return e;
}

/* Frees one block, or all of a region that has none. Called with the lock held. */
static void give_back(struct self *self, struct region *r, uint32_t block)
{
	if (r->block != 0) {
		r->sizes[block] = 0;
		r->used--;
	}
	if (r->used == 0) {
		take_out(&self->regions, r);
		destroy(self, r);
	}
}

static void give_back_late(struct self *self, struct region *r)
{
	uint32_t blocks = r->block ? (uint32_t)(WEIR_CHUNK / r->block) : 0, left = r->used;

	r->late = false;
	if (blocks == 0) {
		give_back(self, r, 0);
		return;
	}
	for (uint32_t i = 0; i < blocks && left > 0; i++) {
		if (r->sizes[i] != LATE)
			continue;
		left = r->used - 1; /* with the last, the region is gone */
		give_back(self, r, i);
	}
}

static bool is_capturing(struct self *self)
{
	return atomic_load(&self->queue.captures) > 0;
}

void regions_free_late(struct self *self)
{
	struct regions *rs = &self->regions;
	CUcontext waited = NULL;

	if (!atomic_load(&rs->late) || is_capturing(self))
		return;
	pthread_mutex_lock(&rs->lock);
	atomic_store(&rs->late, false);
	for (size_t i = rs->count; i-- > 0;) {
		struct region *r = rs->at[i];
		if (!r->late)
			continue;
		if (r->ctx == waited || wait_for_work(self, r->ctx) == CUDA_SUCCESS) {
			waited = r->ctx;
			give_back_late(self, r);
		} else {
			atomic_store(&rs->late, true);
		}
	}
	pthread_mutex_unlock(&rs->lock);
}

/* Called with the lock held. */
static void free_later(struct regions *rs, struct region *r, uint64_t address)
{
	if (r->block != 0)
		r->sizes[block_of(r, address)] = LATE;
	r->late = true;
	atomic_store(&rs->late, true);
}

bool regions_free(struct self *self, CUdeviceptr address, CUresult *result)
{
	struct regions *rs = &self->regions;
	CUcontext ctx = NULL, current = NULL;
	bool capturing = is_capturing(self);

	regions_free_late(self);
	pthread_mutex_lock(&rs->lock);
	struct region *r = rs->count > 0 ? find(rs, address) : NULL;
	bool ours = r != NULL, right = ours && begins(r, address);
	if (ours)
		ctx = r->ctx;
	pthread_mutex_unlock(&rs->lock);
	if (!ours)
		return false;
	REAL(cuCtxGetCurrent, &current);
	*result = !right ? CUDA_ERROR_INVALID_VALUE : current == NULL ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
	if (*result == CUDA_SUCCESS && !capturing)
		*result = wait_for_work(self, ctx);
	if (*result != CUDA_SUCCESS)
		return true;
	pthread_mutex_lock(&rs->lock);
	r = find(rs, address);
	if (r == NULL || !begins(r, address))
		*result = CUDA_ERROR_INVALID_VALUE; /* freed twice */
	else if (capturing)
		free_later(rs, r, address);
	else
		give_back(self, r, block_of(r, address));
	pthread_mutex_unlock(&rs->lock);
	return true;
}

bool regions_find(struct self *self, CUdeviceptr address, struct allocation *out)
{
	struct regions *rs = &self->regions;

	pthread_mutex_lock(&rs->lock);
	struct region *r = rs->count > 0 ? find(rs, address) : NULL;
	uint32_t i = r != NULL ? block_of(r, address) : 0;
	bool ours = r != NULL && is_had(r, address);
	if (ours)
		*out = (struct allocation){.base = r->base + (uint64_t)i * r->block,
					   .bytes = r->block ? r->sizes[i] : r->asked,
					   .serial = (r->serial << 12) + i,
					   .ctx = r->ctx,
					   .device = r->device};
	pthread_mutex_unlock(&rs->lock);
	return ours;
}

bool regions_has_free(struct self *self, CUdeviceptr address)
{
	struct regions *rs = &self->regions;

	pthread_mutex_lock(&rs->lock);
	struct region *r = rs->count > 0 ? find(rs, address) : NULL;
	bool free_there = r != NULL && !is_had(r, address);
	pthread_mutex_unlock(&rs->lock);
	return free_there;
}

void regions_context_gone(struct self *self, CUcontext ctx)
{
	struct regions *rs = &self->regions;

	for (size_t i = rs->count; i-- > 0;) {
		struct region *r = rs->at[i];
		if (r->ctx != ctx)
			continue;
		take_out(rs, r);
		destroy(self, r);
	}
}
