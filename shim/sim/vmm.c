/* Reserved addresses, and physical memory mapped at them. Access is nothing, or reading and writing. */
#define _GNU_SOURCE
#include "physical.h"

#include <sys/mman.h>

static void *nothing_at(uint64_t wish, uint64_t bytes, int flags)
{
	void *p = mmap((void *)(uintptr_t)wish, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1,
		       0);
	return p == MAP_FAILED ? NULL : p;
}

/* Addresses that begin at a multiple of the alignment: more are taken, and given back at both ends. */
uint64_t addresses_take(uint64_t bytes, uint64_t alignment)
{
	if (bytes > UINT64_MAX / 2 - alignment)
		return 0;
	uint64_t all = bytes + alignment, base = (uintptr_t)nothing_at(0, all, 0);
	if (!base)
		return 0;
	uint64_t at = round_up(base, alignment);
	if (at > base)
		munmap((void *)(uintptr_t)base, at - base);
	if (base + all > at + bytes)
		munmap((void *)(uintptr_t)(at + bytes), base + all - (at + bytes));
	return at;
}

static CUresult reserve(CUdeviceptr *out, size_t bytes, size_t alignment, CUdeviceptr wish, unsigned long long flags)
{
	if (!out || !bytes || bytes % GRANULARITY || flags || alignment & (alignment - 1))
		return CUDA_ERROR_INVALID_VALUE;
	if (alignment < GRANULARITY)
		alignment = GRANULARITY;
	uint64_t at = wish && wish % alignment == 0 ? (uintptr_t)nothing_at(wish, bytes, MAP_FIXED_NOREPLACE) : 0;
	if (!at)
		at = addresses_take(bytes, alignment);
	if (!at)
		return CUDA_ERROR_OUT_OF_MEMORY;
	struct range range = { .base = at, .size = bytes, .kind = RESERVED };
	if (!range_add(&reserved, &range)) {
		munmap((void *)(uintptr_t)at, bytes);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*out = at;
	return CUDA_SUCCESS;
}

/* Whether a stretch has memory mapped anywhere in it. */
static bool any_mapped(uint64_t base, uint64_t bytes)
{
	for (uint64_t at = base; at < base + bytes; at += GRANULARITY)
		if (range_find(&memory, at))
			return true;
	return false;
}

static CUresult unreserve(CUdeviceptr address, size_t bytes)
{
	struct range *r = range_find(&reserved, address);
	if (!r || r->base != address || r->size != bytes || any_mapped(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	munmap((void *)(uintptr_t)address, bytes);
	range_remove(&reserved, r);
	return CUDA_SUCCESS;
}

/* Pages that are at one place go to another; where they were, nothing is left, but nobody else's either. */
static bool pages_go(uint64_t from, uint64_t to, uint64_t bytes)
{
	void *p = mremap((void *)(uintptr_t)from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			 (void *)(uintptr_t)to);
	return p != MAP_FAILED && !mprotect((void *)(uintptr_t)from, bytes, PROT_NONE);
}

/* Takes pages home from their only mapping. */
static bool go_home(struct physical *p, uint64_t from)
{
	p->home = addresses_take(p->size, GRANULARITY);
	return p->home && pages_go(from, p->home, p->size) &&
	       !mprotect((void *)(uintptr_t)p->home, p->size, PROT_READ | PROT_WRITE);
}

static bool map_file(const struct physical *p, uint64_t address, uint64_t bytes, int protection)
{
	return mmap((void *)(uintptr_t)address, bytes, protection, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, p->fd, 0) !=
	       MAP_FAILED;
}

/* What is mapped already, or in part, needs a file; where it is, it stays. */
static bool make_file(struct physical *p)
{
	struct range *r = NULL;
	if (p->filed)
		return true;
	for (size_t i = 0; i < memory.count && p->maps; i++)
		if (memory.at[i]->kind == MAPPED && memory.at[i]->owner == p)
			r = memory.at[i];
	if (r && !go_home(p, r->base))
		return false;
	if (!physical_file(p))
		return false;
	return !r || map_file(p, r->base, r->size, r->access ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static bool put(struct physical *p, uint64_t address, uint64_t bytes)
{
	if (p->maps == 0 && !p->filed && bytes == p->size) {
		uint64_t home = p->home;
		if (!pages_go(home, address, bytes) || mprotect((void *)(uintptr_t)address, bytes, PROT_NONE))
			return false;
		munmap((void *)(uintptr_t)home, bytes);
		return true;
	}
	return make_file(p) && map_file(p, address, bytes, PROT_NONE);
}

static CUresult map(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
		    unsigned long long flags)
{
	struct physical *p;
	const struct range *place = range_find(&reserved, address);
	if (!physical_find(handle, &p) || !place || !bytes || bytes % GRANULARITY || address % GRANULARITY || offset ||
	    bytes > p->size || flags || address + bytes > place->base + place->size || any_mapped(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (!put(p, address, bytes))
		return CUDA_ERROR_MAP_FAILED;
	struct range range = { .base = address, .size = bytes, .kind = MAPPED, .owner = p,
			       .device = p->prop.location.type == CU_MEM_LOCATION_TYPE_DEVICE ? p->prop.location.id : 0 };
	p->maps++;
	return range_add(&memory, &range) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Whether a stretch is mappings from one end to the other, none of them in part. */
static bool whole_mappings(uint64_t address, uint64_t bytes)
{
	uint64_t end = address + bytes;
	while (address < end) {
		const struct range *r = range_find(&memory, address);
		if (!r || r->kind != MAPPED || r->base != address)
			return false;
		address += r->size;
	}
	return bytes && address == end;
}

static CUresult unmap(CUdeviceptr address, size_t bytes)
{
	if (!whole_mappings(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	for (uint64_t at = address; at < address + bytes;) {
		struct range *r = range_find(&memory, at);
		struct physical *p = r->owner;
		if (p->filed ? !nothing_at(at, r->size, MAP_FIXED) : !go_home(p, at))
			return CUDA_ERROR_UNMAP_FAILED;
		at += r->size;
		range_remove(&memory, r);
		p->maps--;
		physical_let_go(p);
	}
	return CUDA_SUCCESS;
}

static bool known_place(const CUmemLocation *l)
{
	if (l->type == CU_MEM_LOCATION_TYPE_DEVICE)
		return device_is(l->id);
	return l->type >= CU_MEM_LOCATION_TYPE_HOST && l->type <= CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

static CUresult set_access(CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	int protection = PROT_NONE;
	if (!access || !count || !whole_mappings(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		if (!known_place(&access[i].location))
			return CUDA_ERROR_INVALID_DEVICE;
		if (access[i].flags)
			protection = PROT_READ | PROT_WRITE;
	}
	if (mprotect((void *)(uintptr_t)address, bytes, protection))
		return CUDA_ERROR_OPERATING_SYSTEM;
	for (uint64_t at = address; at < address + bytes;) {
		struct range *r = range_find(&memory, at);
		r->access = protection ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
		at += r->size;
	}
	return CUDA_SUCCESS;
}

static CUresult get_access(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
	const struct range *r = range_find(&memory, address);
	if (!flags || !location || !known_place(location) || !r || r->kind != MAPPED)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = r->access;
	return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr *out, size_t bytes, size_t alignment, CUdeviceptr wish,
			     unsigned long long flags)
{
	ENTER(reserve(out, bytes, alignment, wish, flags));
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes)
{
	ENTER(unreserve(address, bytes));
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
		  unsigned long long flags)
{
	ENTER((fault_stop(STOP_MAP), map(address, bytes, offset, handle, flags)));
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes)
{
	ENTER((fault_stop(STOP_UNMAP), unmap(address, bytes)));
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	ENTER((fault_stop(STOP_ACCESS), set_access(address, bytes, access, count)));
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
	ENTER(get_access(flags, location, address));
}
