/* Arrays: what they take is known when they are made; what does not fit is undone. */
#include "memory.h"
#include "real.h"

/* At least what an array of this shape takes: its elements side by side. */
static uint64_t least_bytes(size_t width, size_t height, size_t depth, CUarray_format format, unsigned int channels)
{
	uint64_t element = channels;
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
		element *= 2;
		break;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		element *= 4;
		break;
	default:
		break;
	}
	uint64_t bytes = element;
	if (__builtin_mul_overflow(bytes, width ? width : 1, &bytes) ||
	    __builtin_mul_overflow(bytes, height ? height : 1, &bytes) ||
	    __builtin_mul_overflow(bytes, depth ? depth : 1, &bytes))
		return UINT64_MAX;
	return bytes;
}

/* Sparse arrays, and those that are mapped later, have no memory of their own. */
#define UNBACKED (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING)

static uint64_t least_of(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	return least_bytes(d->Width, d->Height, d->Depth, d->Format, d->NumChannels);
}

/* An array that is to be made: how, what it takes then, and how that is undone. */
struct making {
	CUresult (*make)(const struct making *m);
	CUresult (*measure)(const struct making *m, CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUdevice device);
	void (*undo)(const struct making *m);
	void **out;
	const void *desc;
	unsigned int levels;
};

/* Makes an array of which `least` bytes were reserved. Where it takes more than may be had it is undone, and `least` is
 * what it takes. */
static CUresult make_once(const struct holder *h, const struct making *m, uint64_t *least)
{
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
	struct patience patience = {0};
	uint64_t reserved = *least;
	CUresult r;

	do
		r = m->make(m);
	while (memory_again(h->self, r, &patience));
	if (r == CUDA_SUCCESS) {
		if (m->measure(m, &needs, h->device) == CUDA_SUCCESS) /* else it is a driver that cannot say */
			*least = needs.size;
		if (memory_correct(h, reserved, *least)) {
			memory_remember(h, (uint64_t)(uintptr_t)*m->out, *least);
			return r;
		}
		m->undo(m);
		r = PROMISE_LATER;
	}
	ledger_release(&h->self->ledger, h->rule, reserved);
	return r;
}

static CUresult make(const struct holder *h, const struct making *m, uint64_t least)
{
	CUresult r;

	do
		r = memory_reserve(h, least) ? make_once(h, m, &least) : CUDA_ERROR_OUT_OF_MEMORY;
	while (r == PROMISE_LATER);
	return r;
}

static CUresult make_flat(const struct making *m)
{
	return REAL(cuArrayCreate_v2, (CUarray *)m->out, m->desc);
}

static CUresult make_deep(const struct making *m)
{
	return REAL(cuArray3DCreate_v2, (CUarray *)m->out, m->desc);
}

static CUresult measure_array(const struct making *m, CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUdevice device)
{
	return REAL(cuArrayGetMemoryRequirements, needs, *(CUarray *)m->out, device);
}

static void undo_array(const struct making *m)
{
	REAL(cuArrayDestroy, *(CUarray *)m->out);
}

static CUresult make_levels(const struct making *m)
{
	return REAL(cuMipmappedArrayCreate, (CUmipmappedArray *)m->out, m->desc, m->levels);
}

static CUresult measure_levels(const struct making *m, CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUdevice device)
{
	return REAL(cuMipmappedArrayGetMemoryRequirements, needs, *(CUmipmappedArray *)m->out, device);
}

static void undo_levels(const struct making *m)
{
	REAL(cuMipmappedArrayDestroy, *(CUmipmappedArray *)m->out);
}

CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *desc)
{
	struct holder h;

	if (array == NULL || desc == NULL || !memory_holder(&h))
		return REAL(cuArrayCreate_v2, array, desc);
	struct making m = {make_flat, measure_array, undo_array, (void **)array, desc, 0};
	return make(&h, &m, least_bytes(desc->Width, desc->Height, 1, desc->Format, desc->NumChannels));
}

CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
	struct holder h;

	if (array == NULL || desc == NULL || (desc->Flags & UNBACKED) || !memory_holder(&h))
		return REAL(cuArray3DCreate_v2, array, desc);
	struct making m = {make_deep, measure_array, undo_array, (void **)array, desc, 0};
	return make(&h, &m, least_of(desc));
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned int levels)
{
	struct holder h;

	if (array == NULL || desc == NULL || (desc->Flags & UNBACKED) || !memory_holder(&h))
		return REAL(cuMipmappedArrayCreate, array, desc, levels);
	struct making m = {make_levels, measure_levels, undo_levels, (void **)array, desc, levels};
	return make(&h, &m, least_of(desc));
}

CUresult cuArrayDestroy(CUarray array)
{
	return MEMORY_FREE(allocations, array, REAL(cuArrayDestroy, array));
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray array)
{
	return MEMORY_FREE(allocations, array, REAL(cuMipmappedArrayDestroy, array));
}
