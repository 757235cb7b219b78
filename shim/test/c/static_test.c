/*
 * A program that is not linked with the driver, as one with the CUDA runtime in it
 * is not: it opens the library by name, finds one function in it, and asks that for
 * all others. Usage: static_test LIMIT.
 */
#include <dlfcn.h>

#include "try.h"

static __typeof__(cuGetProcAddress_v2) *get;

static void *named(const char *name)
{
	CUdriverProcAddressQueryResult status;
	void *fn = NULL;
	OK(get(name, &fn, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
	EXPECT(fn != NULL && status == CU_GET_PROC_ADDRESS_SUCCESS, "%s is found", name);
	return fn;
}

#define NAMED(name) __typeof__(name) *name##_ = (__typeof__(name) *)named(#name)

int main(int argc, char **argv)
{
	uint64_t limit = strtoull(argv[argc - 1], NULL, 0);
	void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	CUdriverProcAddressQueryResult status;
	CUcontext ctx;
	CUdeviceptr p;
	size_t free, total;

	EXPECT(handle != NULL, "%s", dlerror());
	__typeof__(cuGetProcAddress) *first = (__typeof__(cuGetProcAddress) *)dlsym(handle, "cuGetProcAddress");
	OK(first("cuGetProcAddress", (void **)&get, 12000, CU_GET_PROC_ADDRESS_DEFAULT));
	NAMED(cuInit);
	NAMED(cuDevicePrimaryCtxRetain);
	NAMED(cuCtxSetCurrent);
	__typeof__(cuMemGetInfo_v2) *info = (__typeof__(cuMemGetInfo_v2) *)named("cuMemGetInfo");
	__typeof__(cuMemAlloc_v2) *alloc = (__typeof__(cuMemAlloc_v2) *)named("cuMemAlloc");
	EXPECT((void *)alloc == dlsym(handle, "cuMemAlloc_v2"), "the shim's function is found");
	OK(cuInit_(0));
	OK(cuDevicePrimaryCtxRetain_(&ctx, 0));
	OK(cuCtxSetCurrent_(ctx));
	OK(info(&free, &total));
	EXPECT(total == limit && free == limit, "%zu of %zu are free", free, total);
	EXPECT(alloc(&p, limit + 1) == CUDA_ERROR_OUT_OF_MEMORY, "more than the limit");
	OK(alloc(&p, limit));
	EXPECT(alloc(&p, 1) == CUDA_ERROR_OUT_OF_MEMORY, "nothing more fits");
	void *nothing = NULL;
	(void)get("cuNoSuchThing", &nothing, 12000, 0, &status);
	EXPECT(nothing == NULL && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, "a name that nobody has");
	return 0;
}
