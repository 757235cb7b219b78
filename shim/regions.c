/* Memory that can be swapped: see regions.h. */
#include "regions.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "real.h"
#include "swap.h"

#define LEAST_BLOCK 512u
#define LARGEST_BLOCK (WEIR_CHUNK / 2)

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

/* Makes a region. Called with the lock held. */
static CUresult make(const struct holder *h, uint64_t bytes, uint64_t asked, uint32_t block, struct region **out)
{
	enum ledger_answer answer = memory_reserve_swappable(h, bytes);
	CUresult e = CUDA_ERROR_OUT_OF_MEMORY;

	if (answer != LEDGER_YES)
		return answer == LEDGER_LATER ? PROMISE_LATER : e;
	e = region_make(h, bytes, asked, block, out);
	if (e == CUDA_SUCCESS) {
		if (insert(&h->self->regions, *out))
			return e;
		region_destroy(h->self, *out);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
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
		region_destroy(self, r);
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
		if (r->sizes[i] != REGION_LATE)
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
		r->sizes[region_block(r, address)] = REGION_LATE;
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
	bool ours = r != NULL, right = ours && region_begins(r, address);
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
	if (r == NULL || !region_begins(r, address))
		*result = CUDA_ERROR_INVALID_VALUE; /* freed twice */
	else if (capturing)
		free_later(rs, r, address);
	else
		give_back(self, r, region_block(r, address));
	pthread_mutex_unlock(&rs->lock);
	return true;
}

bool regions_find(struct self *self, CUdeviceptr address, struct allocation *out)
{
	struct regions *rs = &self->regions;

	pthread_mutex_lock(&rs->lock);
	struct region *r = rs->count > 0 ? find(rs, address) : NULL;
	uint32_t i = r != NULL ? region_block(r, address) : 0;
	bool ours = r != NULL && region_has(r, address);
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
	bool free_there = r != NULL && !region_has(r, address);
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
		region_destroy(self, r);
	}
}
