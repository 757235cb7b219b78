/* What pool.c does for the functions of pool_api.c. */
#ifndef WEIR_SIM_POOL_H
#define WEIR_SIM_POOL_H

#include "sim.h"

CUresult pool_find(CUmemoryPool handle, struct pool **out);
CUresult pool_create(CUmemoryPool *out, const CUmemPoolProps *props);
CUresult pool_destroy(CUmemoryPool handle);
CUresult pool_trim(CUmemoryPool handle, size_t keep);
CUresult pool_get(CUmemoryPool *out, CUdevice device, bool standard_one);
CUresult pool_set(CUdevice device, CUmemoryPool handle);
int pool_device(const struct pool *p);
CUresult pool_attribute(CUmemoryPool handle, CUmemPool_attribute which, void *value, bool set);

#endif
