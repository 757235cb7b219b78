/* Arrays, and what mipmapped ones share with them. */
#ifndef WEIR_SIM_ARRAY_H
#define WEIR_SIM_ARRAY_H

#include "sim.h"

struct array {
	struct ctx *ctx;
	struct array *next;
	size_t row; /* bytes from one to the next */
	uint64_t base, size;
	unsigned flags;
	bool view;
};

static inline size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

/* Bytes of a row and of the whole; false where the description makes no sense. */
bool array_measure(const CUDA_ARRAY3D_DESCRIPTOR *d, size_t *row, uint64_t *size);
/* Takes memory for a size, or none where the flags say so; and gives it back. */
CUresult array_back(struct ctx *c, unsigned flags, uint64_t size, uint64_t *base);
void array_unback(struct ctx *c, uint64_t base, uint64_t size);
CUresult array_requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, unsigned flags, uint64_t size, CUdevice device);

#endif
