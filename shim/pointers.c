/*
 * What a program is told of an address. Memory that can be swapped is many
 * mappings for the driver, or nothing at all while it is with the host: what is
 * asked of it is answered here.
 */
#include <string.h>

#include "memory.h"
#include "real.h"

/* Whether the address is of memory that can be swapped. */
static bool find(CUdeviceptr address, struct allocation *a)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	return self != NULL && self->arena.at != NULL && regions_find(self, address, a);
}

/* Whether the address is of a chunk that is there, but of no block of it that somebody has. The driver knows of no
 * blocks. */
static bool is_free(CUdeviceptr address)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	return self != NULL && self->arena.at != NULL && regions_has_free(self, address);
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
	struct allocation a;

	if (!find(address, &a))
		return is_free(address) ? CUDA_ERROR_NOT_FOUND : REAL(cuMemGetAddressRange_v2, base, bytes, address);
	if (base != NULL)
		*base = a.base;
	if (bytes != NULL)
		*bytes = a.bytes;
	return CUDA_SUCCESS;
}

/* Numbers of allocations that the driver does not give. */
#define OURS (1ull << 63)

static CUresult answer(void *value, CUpointer_attribute which, CUdeviceptr address, const struct allocation *a)
{
	switch (which) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		*(CUcontext *)value = a->ctx;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		*(unsigned int *)value = CU_MEMORYTYPE_DEVICE;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		*(CUdeviceptr *)value = address;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		return CUDA_ERROR_INVALID_VALUE;
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
		*(unsigned long long *)value = OURS | a->serial;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		*(unsigned char *)value = 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		*(int *)value = a->device;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		*(CUdeviceptr *)value = a->base;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		*(size_t *)value = a->bytes;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		*(CUmemoryPool *)value = NULL;
		return CUDA_SUCCESS;
	default:
		return RESIDENT(REAL(cuPointerGetAttribute, value, which, address));
	}
}

CUresult cuPointerGetAttribute(void *value, CUpointer_attribute which, CUdeviceptr address)
{
	struct allocation a;

	if (value != NULL && is_free(address))
		return CUDA_ERROR_INVALID_VALUE;
	if (value == NULL || !find(address, &a))
		return REAL(cuPointerGetAttribute, value, which, address);
	return answer(value, which, address, &a);
}

/* The driver writes what it does not know as zero; it is asked first, for those that only it knows. */
CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *which, void **values, CUdeviceptr address)
{
	struct allocation a;

	if (which == NULL || values == NULL || !find(address, &a))
		return REAL(cuPointerGetAttributes, count, which, values, address);
	CUresult r = RESIDENT(REAL(cuPointerGetAttributes, count, which, values, address));
	for (unsigned int i = 0; r == CUDA_SUCCESS && i < count; i++)
		if (values[i] != NULL && which[i] != CU_POINTER_ATTRIBUTE_HOST_POINTER)
			answer(values[i], which[i], address, &a);
	return r;
}
