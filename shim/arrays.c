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

/* The rest of making an array: charges what it really takes, or undoes it. */
static CUresult keep(const struct holder *h, CUresult made, uint64_t least, CUresult asked, uint64_t bytes,
		     uint64_t handle)
{
	if (made == CUDA_SUCCESS) {
		if (asked != CUDA_SUCCESS)
			bytes = least; /* a driver that cannot say */
		if (memory_correct(h, least, bytes)) {
			memory_remember(h, handle, bytes);
			return made;
		}
		made = CUDA_ERROR_OUT_OF_MEMORY;
	}
	ledger_release(&h->self->ledger, h->rule, least);
	return made;
}

/* What follows on the making of an array of whatever kind: it is kept and charged, or undone. */
static CUresult keep_array(const struct holder *h, CUresult made, uint64_t least, const CUarray *array)
{
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
	CUresult asked = CUDA_ERROR_UNKNOWN;

	if (made == CUDA_SUCCESS)
		asked = REAL(cuArrayGetMemoryRequirements, &needs, *array, h->device);
	CUresult r = keep(h, made, least, asked, needs.size, (uint64_t)(uintptr_t)*array);
	if (made == CUDA_SUCCESS && r != CUDA_SUCCESS)
		REAL(cuArrayDestroy, *array);
	return r;
}

CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *desc)
{
	struct holder h;

	if (array == NULL || desc == NULL || !memory_holder(&h))
		return REAL(cuArrayCreate_v2, array, desc);
	uint64_t least = least_bytes(desc->Width, desc->Height, 1, desc->Format, desc->NumChannels);
	if (!memory_reserve(&h, least))
		return CUDA_ERROR_OUT_OF_MEMORY;
	return keep_array(&h, REAL(cuArrayCreate_v2, array, desc), least, array);
}

CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
	struct holder h;

	if (array == NULL || desc == NULL || (desc->Flags & UNBACKED) || !memory_holder(&h))
		return REAL(cuArray3DCreate_v2, array, desc);
	uint64_t least = least_of(desc);
	if (!memory_reserve(&h, least))
		return CUDA_ERROR_OUT_OF_MEMORY;
	return keep_array(&h, REAL(cuArray3DCreate_v2, array, desc), least, array);
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned int levels)
{
	struct holder h;

	if (array == NULL || desc == NULL || (desc->Flags & UNBACKED) || !memory_holder(&h))
		return REAL(cuMipmappedArrayCreate, array, desc, levels);
	uint64_t least = least_of(desc);
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
	if (!memory_reserve(&h, least))
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult asked = CUDA_ERROR_UNKNOWN, made = REAL(cuMipmappedArrayCreate, array, desc, levels);
	if (made == CUDA_SUCCESS)
		asked = REAL(cuMipmappedArrayGetMemoryRequirements, &needs, *array, h.device);
	CUresult r = keep(&h, made, least, asked, needs.size, (uint64_t)(uintptr_t)*array);
	if (made == CUDA_SUCCESS && r != CUDA_SUCCESS)
		REAL(cuMipmappedArrayDestroy, *array);
	return r;
}

CUresult cuArrayDestroy(CUarray array)
{
	return MEMORY_FREE(allocations, array, REAL(cuArrayDestroy, array));
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray array)
{
	return MEMORY_FREE(allocations, array, REAL(cuMipmappedArrayDestroy, array));
}
