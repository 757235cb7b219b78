/*
 * One region of memory that can be swapped: addresses that stay, pieces of the
 * device's memory behind them, and a slot of the arena for each chunk. It may be
 * divided into blocks of one size. Who calls has the lock of regions.h, and has
 * charged its bytes.
 */
#ifndef WEIR_REGION_H
#define WEIR_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "wire.h"

/* Chunks in one physical allocation, at most: what is copied and given up in one piece. */
#define PIECE_CHUNKS 16u

struct piece {
	CUmemGenericAllocationHandle handle;
	bool on_device;
};

struct region {
	CUdeviceptr base;
	uint64_t bytes; /* multiples of a chunk, as its base is */
	uint64_t asked;
	uint64_t serial;
	CUcontext ctx;
	CUdevice device;
	uint32_t rule;
	uint32_t block;	 /* the size of its blocks; 0: it is one allocation */
	uint32_t used;	 /* blocks that somebody has */
	uint32_t *sizes; /* of each block as it was asked for; 0: nobody has it */
	bool late;	 /* it was freed, and is there still; where it has blocks, one of them was */
	uint32_t chunks, pieces;
	uint32_t *slots; /* of the chunks, in the arena */
	struct piece *piece;
};

struct self;
struct holder;

/* In the place of its size: the block was freed, and is there still. */
#define REGION_LATE UINT32_MAX

/* Makes a region of so many bytes, of which so many were asked for, in blocks of a size; 0: in one. */
CUresult region_make(const struct holder *holder, uint64_t bytes, uint64_t asked, uint32_t block, struct region **out);

/* Gives back all that a region has, and what was charged for it. Nobody else knows it any more. */
void region_destroy(struct self *self, struct region *region);

/* The block that an address is in; one that is not divided has the block 0. */
uint32_t region_block(const struct region *region, uint64_t address);

/* Whether an address is in memory that somebody has; and whether it is where such memory begins. */
bool region_has(const struct region *region, uint64_t address);
bool region_begins(const struct region *region, uint64_t address);

/* The bytes of one piece, and where it begins. */
uint64_t piece_bytes(const struct region *region, uint32_t piece);
uint64_t piece_address(const struct region *region, uint32_t piece);

/* Puts the device's memory behind a piece, with any contents; or takes it away. */
CUresult piece_back(const struct region *region, uint32_t piece);
CUresult piece_strip(const struct region *region, uint32_t piece);

#endif
