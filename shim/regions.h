/*
 * Memory that can be swapped: what stands behind cuMemAlloc where the container
 * has an arena. Addresses stay as they are for as long as a program has them;
 * what is behind them is the device's memory or, swapped out, nothing.
 *
 * What is larger than half a chunk is a region of its own. Smaller ones are
 * blocks of regions of one chunk, all of one size in each.
 */
#ifndef WEIR_REGIONS_H
#define WEIR_REGIONS_H

#include <pthread.h>
#include <stdbool.h>

#include "abi/cuda.h"
#include "region.h"

struct regions {
	pthread_mutex_t lock; /* held by whoever moves a piece, too */
	struct region **at;   /* by address */
	size_t count, room;
	uint64_t serial;
	_Atomic bool late; /* some region has what is freed late */
};

/* Takes memory. Its holder is one that takes memory so. */
CUresult regions_alloc(const struct holder *holder, size_t bytes, CUdeviceptr *out);

/* Frees what is at an address; false where it is not of a region. Swapped out, it frees the host's copy. */
bool regions_free(struct self *self, CUdeviceptr address, CUresult *result);

/* Frees what was freed while a stream was captured, when nothing is captured any more: until then nobody may wait for
 * what the device does. */
void regions_free_late(struct self *self);

/* An allocation that an address is in. */
struct allocation {
	uint64_t base, bytes, serial;
	CUcontext ctx;
	CUdevice device;
};
bool regions_find(struct self *self, CUdeviceptr address, struct allocation *out);

/* Whether an address is of a region, but of no allocation. */
bool regions_has_free(struct self *self, CUdeviceptr address);

/* The first region that begins at an address or behind it, or NULL. Called with the lock held. */
struct region *regions_next(struct regions *regions, uint64_t address);

/* All memory of a context is freed: it is gone. Called with the lock held. */
void regions_context_gone(struct self *self, CUcontext ctx);

#endif
