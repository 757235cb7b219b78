/* Which addresses are the driver's: arrays sorted by address, one of memory and one of reserved addresses. */
#define _GNU_SOURCE
#include "sim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct ranges memory, reserved;

/* The first range that ends behind an address. */
static size_t at(const struct ranges *set, uint64_t address)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (set->at[mid]->base + set->at[mid]->size <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct range *range_find(const struct ranges *set, uint64_t address)
{
	size_t i = at(set, address);
	return i < set->count && set->at[i]->base <= address ? set->at[i] : NULL;
}

struct range *range_add(struct ranges *set, const struct range *r)
{
	static uint64_t id;
	if (set->count == set->room) {
		size_t room = set->room ? set->room * 2 : 64;
		struct range **p = realloc(set->at, room * sizeof *p);
		if (!p)
			return NULL;
		set->at = p;
		set->room = room;
	}
	struct range *n = malloc(sizeof *n);
	if (!n)
		return NULL;
	*n = *r;
	n->id = ++id;
	size_t i = at(set, r->base);
	memmove(set->at + i + 1, set->at + i, (set->count - i) * sizeof *set->at);
	set->at[i] = n;
	set->count++;
	return n;
}

void range_remove(struct ranges *set, struct range *r)
{
	size_t i = at(set, r->base);
	memmove(set->at + i, set->at + i + 1, (set->count - i - 1) * sizeof *set->at);
	set->count--;
	free(r);
}

bool span_ok(uint64_t address, uint64_t bytes)
{
	uint64_t end = address + bytes;
	const struct range *r = range_find(&memory, address);
	while (r && r->access != CU_MEM_ACCESS_FLAGS_PROT_NONE) {
		address = r->base + r->size;
		if (address >= end)
			return end >= bytes;
		/* What was allocated in one piece ends where it ends; what is mapped side by side goes on. */
		r = r->kind == MAPPED ? range_find(&memory, address) : NULL;
		if (r && r->kind != MAPPED)
			return false;
	}
	return false;
}

bool span_usable(uint64_t address, uint64_t bytes)
{
	if (range_find(&memory, address))
		return span_ok(address, bytes);
	return address && !range_find(&reserved, address);
}

void *pages_map(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	/* A device's memory is there at once; large pages are the nearest to it that the machine has. */
	if (bytes >= 2u << 20)
		madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

void pages_unmap(uint64_t base, uint64_t bytes)
{
	munmap((void *)(uintptr_t)base, bytes);
}

uint64_t round_up(uint64_t n, uint64_t to)
{
	return n > UINT64_MAX - to ? 0 : (n + to - 1) / to * to;
}
