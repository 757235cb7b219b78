/* The pieces of a region: the device's memory behind its addresses. See region.h. */
#include "real.h"
#include "region.h"

uint64_t piece_address(const struct region *r, uint32_t piece)
{
	return r->base + piece * PIECE_CHUNKS * WEIR_CHUNK;
}

uint64_t piece_bytes(const struct region *r, uint32_t piece)
{
	uint64_t left = r->base + r->bytes - piece_address(r, piece), most = PIECE_CHUNKS * WEIR_CHUNK;
	return left < most ? left : most;
}

CUresult piece_back(const struct region *r, uint32_t i)
{
	CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
				    .location = {CU_MEM_LOCATION_TYPE_DEVICE, r->device}};
	CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	uint64_t at = piece_address(r, i), bytes = piece_bytes(r, i);
	struct piece *p = &r->piece[i];

	CUresult e = REAL(cuMemCreate, &p->handle, bytes, &prop, 0);
	if (e != CUDA_SUCCESS)
		return e;
	e = REAL(cuMemMap, at, bytes, 0, p->handle, 0);
	if (e == CUDA_SUCCESS) {
		e = REAL(cuMemSetAccess, at, bytes, &access, 1);
		if (e != CUDA_SUCCESS)
			REAL(cuMemUnmap, at, bytes);
	}
	if (e != CUDA_SUCCESS)
		REAL(cuMemRelease, p->handle);
	p->on_device = e == CUDA_SUCCESS;
	return e;
}

CUresult piece_strip(const struct region *r, uint32_t i)
{
	struct piece *p = &r->piece[i];
	CUresult e = REAL(cuMemUnmap, piece_address(r, i), piece_bytes(r, i));

	if (e != CUDA_SUCCESS)
		return e;
	p->on_device = false;
	return REAL(cuMemRelease, p->handle);
}
