/* Mipmapped arrays: one piece of memory, in which each level is an array. */
#include "array.h"

#include <stdlib.h>

struct mipmap {
	struct ctx *ctx;
	struct mipmap *next;
	unsigned levels, flags;
	uint64_t base, size;
	struct array **level;
};

static struct mipmap *mipmaps;

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
		array_measure(&level, &a->row, &a->size);
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
		if (!array_measure(&level, &row, &size))
			return CUDA_ERROR_INVALID_VALUE;
	}
	if ((r = array_back(c, d->Flags, sum, &base)))
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
	array_unback(c, base, sum);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static void drop_mipmap(struct mipmap *m)
{
	struct mipmap **p = &mipmaps;
	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
	free_levels(m);
	array_unback(m->ctx, m->base, m->size);
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
	return handle_is(handle, MIPMAP) ? array_requirements(out, m->flags, m->size, device) : CUDA_ERROR_INVALID_HANDLE;
}

void mipmaps_drop(struct ctx *c)
{
	for (struct mipmap *m = mipmaps, *next; m; m = next) {
		next = m->next;
		if (m->ctx == c)
			drop_mipmap(m);
	}
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
