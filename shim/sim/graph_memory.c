/*
 * Memory that graphs allocate. Its address is fixed when the node is made; the
 * device's memory is taken when the graph is launched, and stays with the
 * device's store for graphs, also when it is freed, until that is trimmed.
 */
#define _GNU_SOURCE
#include "sim.h"

#include <stdlib.h>
#include <sys/mman.h>

#define GRAIN (2u << 20)

struct graph_memory {
	int device;
	unsigned holders; /* nodes and executable graphs, and its range while it is allocated */
	bool live;
	uint64_t address, bytes, size;
};

enum { USED, USED_HIGH, RESERVED_NOW, RESERVED_HIGH };
static uint64_t store[SIM_DEVICES][4];

struct graph_memory *graph_memory_new(int device, uint64_t bytes, uint64_t *address)
{
	uint64_t size = round_up(bytes, GRAIN);
	struct graph_memory *m = malloc(sizeof *m);
	void *pages = size ? pages_map(size) : NULL;
	if (!m || !pages) {
		free(m);
		if (pages)
			pages_unmap((uintptr_t)pages, size);
		return NULL;
	}
	*m = (struct graph_memory){ .device = device, .holders = 1, .address = (uintptr_t)pages, .bytes = bytes,
				    .size = size };
	*address = m->address;
	return m;
}

void graph_memory_hold(struct graph_memory *m)
{
	m->holders++;
}

void graph_memory_let_go(struct graph_memory *m)
{
	if (--m->holders)
		return;
	pages_unmap(m->address, m->size);
	free(m);
}

bool graph_memory_live(const struct graph_memory *m)
{
	return m->live;
}

uint64_t graph_memory_address(const struct graph_memory *m)
{
	return m->address;
}

uint64_t graph_memory_size(const struct graph_memory *m)
{
	return m->size;
}

CUresult graph_memory_reserve(int device, uint64_t more)
{
	uint64_t *s = store[device], need = s[USED] + more;
	if (!more || need <= s[RESERVED_NOW])
		return CUDA_SUCCESS;
	CUresult r = charge(device, need - s[RESERVED_NOW]);
	if (r)
		return r;
	s[RESERVED_NOW] = need;
	s[RESERVED_HIGH] = later(s[RESERVED_HIGH], need);
	return CUDA_SUCCESS;
}

CUresult graph_memory_take(struct graph_memory *m)
{
	struct range range = { .base = m->address, .size = m->bytes, .kind = GRAPHED, .device = m->device, .owner = m,
			       .access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
	CUresult r = m->live ? CUDA_ERROR_INVALID_VALUE : graph_memory_reserve(m->device, m->size);
	if (r)
		return r;
	if (!range_add(&memory, &range))
		return CUDA_ERROR_OUT_OF_MEMORY;
	m->live = true;
	graph_memory_hold(m);
	uint64_t *s = store[m->device];
	s[USED] += m->size;
	s[USED_HIGH] = later(s[USED_HIGH], s[USED]);
	return CUDA_SUCCESS;
}

void graph_memory_free(struct range *r)
{
	struct graph_memory *m = r->owner;
	range_remove(&memory, r);
	madvise((void *)(uintptr_t)m->address, m->size, MADV_DONTNEED);
	store[m->device][USED] -= m->size;
	m->live = false;
	graph_memory_let_go(m);
}

static CUresult trim(CUdevice device)
{
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	uint64_t *s = store[device];
	if (s[RESERVED_NOW] > s[USED])
		state_discharge(device, s[RESERVED_NOW] - s[USED]);
	s[RESERVED_NOW] = s[USED];
	return CUDA_SUCCESS;
}

static CUresult attribute(CUdevice device, CUgraphMem_attribute which, uint64_t *value, bool set)
{
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	if (!value || (unsigned)which > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
		return CUDA_ERROR_INVALID_VALUE;
	uint64_t *at = &store[device][which];
	if (!set)
		*value = *at;
	else if (*value || which % 2 == 0) /* only the highest ones may be set, to what there is now */
		return CUDA_ERROR_INVALID_VALUE;
	else
		*at = at[-1];
	return CUDA_SUCCESS;
}

CUresult cuDeviceGraphMemTrim(CUdevice device)
{
	ENTER(trim(device));
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute which, void *value)
{
	ENTER(attribute(device, which, value, false));
}

CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute which, void *value)
{
	ENTER(attribute(device, which, value, true));
}
