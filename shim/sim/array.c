/* Arrays: rows of elements in memory that has no address for programs. Levels of mipmapped arrays are views. */
#include "sim.h"

#include <stdlib.h>

#define ROW 512
#define GRAIN 65536 /* an array takes a multiple of this */

struct array {
	struct ctx *ctx;
	struct array *next;
	size_t row; /* bytes from one to the next */
	uint64_t base, size;
	unsigned flags;
	bool view;
};

struct mipmap {
	struct ctx *ctx;
	struct mipmap *next;
	unsigned levels, flags;
	uint64_t base, size;
	struct array **level;
};

static struct array *arrays;
static struct mipmap *mipmaps;

static unsigned element_size(CUarray_format format)
{
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT8:
	case CU_AD_FORMAT_SIGNED_INT8:
		return 1;
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
		return 2;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		return 4;
	default:
		return 0;
	}
}

static size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

/* Bytes of a row and of the whole; false where the description makes no sense. */
static bool measure(const CUDA_ARRAY3D_DESCRIPTOR *d, size_t *row, uint64_t *size)
{
	unsigned element = element_size(d->Format) * d->NumChannels;
	if (!element || (d->NumChannels != 1 && d->NumChannels != 2 && d->NumChannels != 4) || !d->Width ||
	    d->Width > 1 << 20 || d->Height > 1 << 20 || d->Depth > 1 << 16)
		return false;
	*row = round_up(d->Width * element, ROW);
	*size = round_up((uint64_t)*row * at_least_one(d->Height) * at_least_one(d->Depth), GRAIN);
	return true;
}

/* Sparse arrays, and those to be mapped later, have no memory of their own. */
static bool unbacked(unsigned flags)
{
	return flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING);
}

static CUresult back(struct ctx *c, unsigned flags, uint64_t size, uint64_t *base)
{
	*base = 0;
	if (unbacked(flags))
		return CUDA_SUCCESS;
	CUresult r = charge(c->device, size);
	if (r)
		return r;
	*base = (uintptr_t)pages_map(size);
	if (*base)
		return CUDA_SUCCESS;
	state_discharge(c->device, size);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static void unback(struct ctx *c, uint64_t base, uint64_t size)
{
	if (!base)
		return;
	pages_unmap(base, size);
	state_discharge(c->device, size);
}

static CUresult create(CUarray *out, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	struct ctx *c;
	uint64_t base, size;
	size_t row;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	if (!out || !d || !measure(d, &row, &size))
		return CUDA_ERROR_INVALID_VALUE;
	if ((r = back(c, d->Flags, size, &base)))
		return r;
	struct array *a = handle_new(ARRAY, sizeof *a);
	if (!a) {
		unback(c, base, size);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*a = (struct array){ .ctx = c, .next = arrays, .row = row, .base = base, .size = size, .flags = d->Flags };
	arrays = a;
	*out = (CUarray)a;
	return CUDA_SUCCESS;
}

static CUresult create_flat(CUarray *out, const CUDA_ARRAY_DESCRIPTOR *d)
{
	if (!d)
		return CUDA_ERROR_INVALID_VALUE;
	CUDA_ARRAY3D_DESCRIPTOR full = { .Width = d->Width, .Height = d->Height, .Format = d->Format,
					 .NumChannels = d->NumChannels };
	return create(out, &full);
}

static void drop(struct array *a)
{
	struct array **p = &arrays;
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	unback(a->ctx, a->base, a->size);
	handle_free(a);
}

static CUresult destroy(CUarray handle)
{
	if (!handle_is(handle, ARRAY) || ((struct array *)handle)->view)
		return CUDA_ERROR_INVALID_HANDLE;
	drop((struct array *)handle);
	return CUDA_SUCCESS;
}

bool array_rows(CUarray handle, uint64_t *base, size_t *row, uint64_t *size)
{
	const struct array *a = (const struct array *)handle;
	if (!handle_is(handle, ARRAY) || !a->base)
		return false;
	*base = a->base;
	*row = a->row;
	*size = a->size;
	return true;
}

/* As with the real driver, only of arrays whose memory is to be mapped by the program. */
static CUresult requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, unsigned flags, uint64_t size, CUdevice device)
{
	if (!out || !unbacked(flags))
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*out = (CUDA_ARRAY_MEMORY_REQUIREMENTS){ .size = size, .alignment = GRAIN };
	return CUDA_SUCCESS;
}

static CUresult array_requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, CUarray handle, CUdevice device)
{
	const struct array *a = (const struct array *)handle;
	return handle_is(handle, ARRAY) ? requirements(out, a->flags, a->size, device) : CUDA_ERROR_INVALID_HANDLE;
}

static void free_levels(struct mipmap *m)
{
	for (unsigned i = 0; i < m->levels; i++)
		handle_free(m->level[i]);
	free(m->level);
}

/* Gives each level its place in the whole; false without host memory. */
static bool make_levels(struct mipmap *m, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	uint64_t offset = 0;
	for (unsigned i = 0; i < m->levels; i++) {
		struct array *a = m->level[i] = handle_new(ARRAY, sizeof *a);
		if (!a)
			return false;
		CUDA_ARRAY3D_DESCRIPTOR level = *d;
		level.Width = at_least_one(d->Width >> i);
		level.Height = d->Height >> i;
		level.Depth = d->Depth >> i;
		measure(&level, &a->row, &a->size);
		a->ctx = m->ctx;
		a->flags = d->Flags;
		a->view = true;
		a->base = m->base ? m->base + offset : 0;
		offset += a->size;
	}
	return true;
}

static CUresult create_mipmap(CUmipmappedArray *out, const CUDA_ARRAY3D_DESCRIPTOR *d, unsigned levels)
{
	struct ctx *c;
	uint64_t base, size, sum = 0;
	size_t row;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	if (!out || !d || !levels || levels > 20)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < levels; i++, sum += size) {
		CUDA_ARRAY3D_DESCRIPTOR level = *d;
		level.Width = d->Width ? at_least_one(d->Width >> i) : 0;
		level.Height = d->Height >> i;
		level.Depth = d->Depth >> i;
		if (!measure(&level, &row, &size))
			return CUDA_ERROR_INVALID_VALUE;
	}
	if ((r = back(c, d->Flags, sum, &base)))
		return r;
	struct mipmap *m = handle_new(MIPMAP, sizeof *m);
	struct array **level = calloc(levels, sizeof *level);
	if (m && level) {
		*m = (struct mipmap){ .ctx = c, .next = mipmaps, .levels = levels, .flags = d->Flags, .base = base,
				      .size = sum, .level = level };
		if (make_levels(m, d)) {
			mipmaps = m;
			*out = (CUmipmappedArray)m;
			return CUDA_SUCCESS;
		}
		free_levels(m);
	} else {
		free(level);
	}
	handle_free(m);
	unback(c, base, sum);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static void drop_mipmap(struct mipmap *m)
{
	struct mipmap **p = &mipmaps;
	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
	free_levels(m);
	unback(m->ctx, m->base, m->size);
	handle_free(m);
}

static CUresult destroy_mipmap(CUmipmappedArray handle)
{
	if (!handle_is(handle, MIPMAP))
		return CUDA_ERROR_INVALID_HANDLE;
	drop_mipmap((struct mipmap *)handle);
	return CUDA_SUCCESS;
}

static CUresult get_level(CUarray *out, CUmipmappedArray handle, unsigned level)
{
	const struct mipmap *m = (const struct mipmap *)handle;
	if (!handle_is(handle, MIPMAP))
		return CUDA_ERROR_INVALID_HANDLE;
	if (!out || level >= m->levels)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUarray)m->level[level];
	return CUDA_SUCCESS;
}

static CUresult mipmap_requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, CUmipmappedArray handle, CUdevice device)
{
	const struct mipmap *m = (const struct mipmap *)handle;
	return handle_is(handle, MIPMAP) ? requirements(out, m->flags, m->size, device) : CUDA_ERROR_INVALID_HANDLE;
}

void arrays_drop(struct ctx *c)
{
	for (struct array *a = arrays, *next; a; a = next) {
		next = a->next;
		if (a->ctx == c)
			drop(a);
	}
	for (struct mipmap *m = mipmaps, *next; m; m = next) {
		next = m->next;
		if (m->ctx == c)
			drop_mipmap(m);
	}
}

CUresult cuArrayCreate_v2(CUarray *out, const CUDA_ARRAY_DESCRIPTOR *d)
{
	ENTER(create_flat(out, d));
}

CUresult cuArray3DCreate_v2(CUarray *out, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	ENTER(create(out, d));
}

CUresult cuArrayDestroy(CUarray a)
{
	ENTER(destroy(a));
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, CUarray a, CUdevice device)
{
	ENTER(array_requirements(out, a, device));
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *out, const CUDA_ARRAY3D_DESCRIPTOR *d, unsigned int levels)
{
	ENTER(create_mipmap(out, d, levels));
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray m)
{
	ENTER(destroy_mipmap(m));
}

CUresult cuMipmappedArrayGetLevel(CUarray *out, CUmipmappedArray m, unsigned int level)
{
	ENTER(get_level(out, m, level));
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, CUmipmappedArray m, CUdevice device)
{
	ENTER(mipmap_requirements(out, m, device));
}
