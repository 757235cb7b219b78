/*
 * Physical memory and where it is mapped: charged from cuMemCreate until its last
 * handle and its last mapping are gone. Memory that is not a device's, and memory
 * of other processes, is not charged.
 */
#include "memory.h"
#include "real.h"

/* One reference less, of handles and mappings; what has none left is given back. */
static void drop(struct self *self, uint64_t handle)
{
	struct entry e;
	if (table_count(&self->handles, handle, -1, &e) && e.count == 0)
		ledger_release(&self->ledger, e.device, e.bytes);
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *prop,
		     unsigned long long flags)
{
	struct holder h;

	if (handle == NULL || prop == NULL || bytes == 0 || prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    !memory_holder_of(&h, prop->location.id))
		return REAL(cuMemCreate, handle, bytes, prop, flags);
	if (!memory_reserve(&h, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	struct patience patience = {0};
	CUresult r;
	do
		r = REAL(cuMemCreate, handle, bytes, prop, flags);
	while (memory_again(h.self, r, &patience));
	if (r != CUDA_SUCCESS) {
		ledger_release(&h.self->ledger, h.rule, bytes);
		return r;
	}
	struct entry e = {.key = *handle, .bytes = bytes, .device = h.rule, .count = 1};
	if (!table_put(&h.self->handles, e))
		self_complain("no memory to remember an allocation: it stays charged");
	return r;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	struct entry e;

	/* The reference goes first: when the driver has released it, the handle may be another's. */
	bool known = self != NULL && table_count(&self->handles, handle, -1, &e);
	CUresult r = REAL(cuMemRelease, handle);
	if (!known)
		return r;
	if (r != CUDA_SUCCESS) {
		if (e.count == 0) {
			e.count = 1;
			table_put(&self->handles, e);
		} else {
			table_count(&self->handles, handle, 1, &e);
		}
	} else if (e.count == 0) {
		ledger_release(&self->ledger, e.device, e.bytes);
	}
	return r;
}

/* A handle that came from somewhere else is charged to whoever made it; one of our own is one more reference. */
static CUresult refer(CUresult r, const CUmemGenericAllocationHandle *handle)
{
	struct self *self = real_depth == 0 && r == CUDA_SUCCESS ? self_member() : NULL;
	struct entry e;

	if (self != NULL)
		table_count(&self->handles, *handle, 1, &e);
	return r;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	struct allocation ours;

	/* Memory of cuMemAlloc has no handle, as far as a program knows. */
	if (self != NULL && self->arena.at != NULL && regions_find(self, (CUdeviceptr)(uintptr_t)address, &ours))
		return CUDA_ERROR_INVALID_VALUE;
	return refer(REAL(cuMemRetainAllocationHandle, handle, address), handle);
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *os_handle,
					CUmemAllocationHandleType type)
{
	return refer(REAL(cuMemImportFromShareableHandle, handle, os_handle, type), handle);
}

CUresult cuMemMap(CUdeviceptr ptr, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
		  unsigned long long flags)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	CUresult r = REAL(cuMemMap, ptr, bytes, offset, handle, flags);
	struct entry e;

	if (self == NULL || r != CUDA_SUCCESS || !table_count(&self->handles, handle, 1, &e))
		return r;
	struct entry mapping = {.key = ptr, .bytes = bytes, .owner = handle, .count = 1};
	if (!table_put(&self->mappings, mapping))
		self_complain("no memory to remember a mapping: it stays charged");
	return r;
}

/* Unmaps any number of mappings that lie one behind the other. */
CUresult cuMemUnmap(CUdeviceptr ptr, size_t bytes)
{
	struct self *self = real_depth == 0 ? self_member() : NULL;
	CUresult r = REAL(cuMemUnmap, ptr, bytes);
	struct entry mapping;

	for (CUdeviceptr at = ptr; self != NULL && r == CUDA_SUCCESS && at - ptr < bytes; at += mapping.bytes) {
		if (!table_take(&self->mappings, at, &mapping))
			break;
		drop(self, mapping.owner);
	}
	return r;
}
