/* Arrays: rows of elements in memory that has no address for programs. */
#include "array.h"

#define ROW 512
#define GRAIN 65536 /* an array takes a multiple of this */

static struct array *arrays;

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

/* Bytes of a row and of the whole; false where the description makes no sense. */
bool array_measure(const CUDA_ARRAY3D_DESCRIPTOR *d, size_t *row, uint64_t *size)
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

CUresult array_back(struct ctx *c, unsigned flags, uint64_t size, uint64_t *base)
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

void array_unback(struct ctx *c, uint64_t base, uint64_t size)
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
	if (!out || !d || !array_measure(d, &row, &size))
		return CUDA_ERROR_INVALID_VALUE;
	if ((r = array_back(c, d->Flags, size, &base)))
		return r;
	struct array *a = handle_new(ARRAY, sizeof *a);
	if (!a) {
		array_unback(c, base, size);
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
	array_unback(a->ctx, a->base, a->size);
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
CUresult array_requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, unsigned flags, uint64_t size, CUdevice device)
{
	if (!out || !(flags & CUDA_ARRAY3D_DEFERRED_MAPPING))
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*out = (CUDA_ARRAY_MEMORY_REQUIREMENTS){ .size = size, .alignment = GRAIN };
	return CUDA_SUCCESS;
}

static CUresult requirements_of(CUDA_ARRAY_MEMORY_REQUIREMENTS *out, CUarray handle, CUdevice device)
{
	const struct array *a = (const struct array *)handle;
	return handle_is(handle, ARRAY) ? array_requirements(out, a->flags, a->size, device) : CUDA_ERROR_INVALID_HANDLE;
}

void arrays_drop(struct ctx *c)
{
	for (struct array *a = arrays, *next; a; a = next) {
		next = a->next;
		if (a->ctx == c)
			drop(a);
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
	ENTER(requirements_of(out, a, device));
}
