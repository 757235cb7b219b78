/* cuGetProcAddress gives the form of a function for a version and a meaning of no stream; names and errors. */
#include "test.h"

static void *find(const char *name, int version, cuuint64_t flags, CUdriverProcAddressQueryResult want)
{
	CUdriverProcAddressQueryResult status;
	void *v1 = (void *)1, *v2 = (void *)1;
	OK(cuGetProcAddress_v2(name, &v2, version, flags, &status));
	CHECK(status == want);
	GIVES(want ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS, cuGetProcAddress(name, &v1, version, flags));
	CHECK(v1 == v2 && !v1 == (want != 0));
	return v1;
}

#define IS(form, name, version, flags) CHECK(find(name, version, flags, CU_GET_PROC_ADDRESS_SUCCESS) == (void *)form)

int main(void)
{
	void *p;
	const char *text;
	CUresult (*alloc)(CUdeviceptr *, size_t);
	IS(cuMemAlloc_v2, "cuMemAlloc", 12000, 0);
	IS(cuMemAlloc_v2, "cuMemAlloc", 3020, 0);
	IS(cuMemAlloc, "cuMemAlloc", 3010, 0);
	IS(cuCtxCreate, "cuCtxCreate", 3010, 0);
	IS(cuCtxCreate_v2, "cuCtxCreate", 11030, 0);
	IS(cuCtxCreate_v3, "cuCtxCreate", 12040, 0);
	IS(cuCtxCreate_v4, "cuCtxCreate", 13000, 0);
	IS(cuGetProcAddress, "cuGetProcAddress", 11080, 0);
	IS(cuGetProcAddress_v2, "cuGetProcAddress", 12000, 0);
	IS(cuGraphInstantiate_v2, "cuGraphInstantiate", 11080, 0);
	IS(cuGraphInstantiateWithFlags, "cuGraphInstantiate", 12000, 0);
	IS(cuLaunchKernel, "cuLaunchKernel", 12000, CU_GET_PROC_ADDRESS_LEGACY_STREAM);
	IS(cuLaunchKernel_ptsz, "cuLaunchKernel", 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
	IS(cuLaunchKernel, "cuLaunchKernel", 6050, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
	IS(cuMemcpyHtoD_v2_ptds, "cuMemcpyHtoD", 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
	IS(cuMemAlloc_v2, "cuMemAlloc", 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
	IS(cuMemAllocAsync_ptsz, "cuMemAllocAsync", 11020, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
	find("cuMemAllocAsync", 11010, 0, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	find("cuLaunchKernelEx", 11050, 0, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	find("cuMakeCoffee", 12000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	find("cuMemAlloc_v2", 12000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND); /* base names only */
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGetProcAddress("cuInit", NULL, 12000, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGetProcAddress(NULL, &p, 12000, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGetProcAddress("cuInit", &p, WEIR_CUDA_VERSION + 10, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGetProcAddress("cuInit", &p, 12000, 3));

	GIVES(CUDA_ERROR_NOT_INITIALIZED, cuMemGetInfo_v2(NULL, NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuInit(1));
	OK(cuInit(0));
	GIVES(CUDA_ERROR_INVALID_CONTEXT, cuMemGetInfo_v2(NULL, NULL));
	begin();
	OK(cuGetProcAddress("cuMemAlloc", &p, 12000, 0));
	CUdeviceptr d;
	memcpy(&alloc, &p, sizeof alloc);
	OK(alloc(&d, 1));
	OK(cuMemFree_v2(d));
	OK(cuGetErrorName(CUDA_ERROR_OUT_OF_MEMORY, &text));
	CHECK(!strcmp(text, "CUDA_ERROR_OUT_OF_MEMORY"));
	OK(cuGetErrorString(CUDA_SUCCESS, &text));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGetErrorName((CUresult)12345, &text));

	int count, major, minor;
	char bus[32];
	CUdevice device;
	CUuuid a, b;
	OK(cuDeviceGetCount(&count));
	CHECK(count == 2);
	OK(cuDeviceComputeCapability(&major, &minor, 1));
	CHECK(major == 9);
	OK(cuDeviceGetPCIBusId(bus, sizeof bus, 1));
	OK(cuDeviceGetByPCIBusId(&device, bus));
	CHECK(device == 1);
	OK(cuDeviceGetUuid_v2(&a, 0));
	OK(cuDeviceGetUuid_v2(&b, 1));
	CHECK(memcmp(&a, &b, sizeof a));
	GIVES(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, 2));
	GIVES(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, -1));
	return 0;
}
