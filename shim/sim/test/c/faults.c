/* Faults on demand, from the environment and from the file; and arguments that make no sense. */
#include "test.h"

static void faults(const char *text)
{
	char path[4096], part[4100];
	snprintf(path, sizeof path, "%s/fault", getenv("WEIR_SIM"));
	snprintf(part, sizeof part, "%s.new", path);
	FILE *f = fopen(part, "w");
	CHECK(f && fputs(text, f) >= 0 && !fclose(f) && !rename(part, path));
}

static void no_arguments(void)
{
	CUdeviceptr p;
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAlloc_v2(NULL, 1));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAlloc_v2(&p, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch_v2(&p, NULL, 1, 1, 4));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&p, 1, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(12345));
	OK(cuMemFree_v2(0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemCreate(NULL, 2 * MIB, NULL, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemRelease(7));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemMap(0, 0, 0, 0, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(UINT64_MAX - 4095, 2 * MIB));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(0, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(0, &p, 8));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemPoolDestroy(NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuArrayCreate_v2(NULL, NULL));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(NULL));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize((CUstream)&p));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventSynchronize(NULL));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload((CUmodule)&p));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(NULL, NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGraphAddKernelNode_v2(NULL, NULL, NULL, 0, NULL));
	GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent((CUcontext)&p));
	GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy_v2(NULL));
	GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceGetCount_v2(NULL));
	OK(nvmlInit_v2());
	GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetCount_v2(NULL));
	GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetMemoryInfo(NULL, NULL));
}

int main(void)
{
	static unsigned char host[8 * MIB];
	CUdeviceptr p;
	nvmlDevice_t d;
	nvmlMemory_t m;
	nvmlMemory_v2_t m2 = { .version = NVML_MEMORY_V2 };
	char uuid[80];
	setenv("WEIR_SIM_FAULT", "alloc=2", 1);
	begin();
	OK(cuMemAlloc_v2(&p, MIB));
	FULL(cuMemAlloc_v2(&p, MIB));
	OK(cuMemAlloc_v2(&p, sizeof host));
	no_arguments();
	OK(nvmlDeviceGetHandleByIndex(0, &d));
	OK(nvmlDeviceGetMemoryInfo(d, &m));
	OK(nvmlDeviceGetMemoryInfo_v2(d, &m2));
	CHECK(m.total == GIB && m.used == 9 * MIB && m.free + m.used == m.total && m2.used == m.used);
	OK(nvmlDeviceGetUUID(d, uuid, sizeof uuid));
	nvmlDevice_t same;
	OK(nvmlDeviceGetHandleByUUID(uuid, &same));
	CHECK(same == d && strlen(uuid) == 40);

	faults("copy=1\n");
	GIVES(CUDA_ERROR_UNKNOWN, cuMemcpyHtoD_v2(p, host, sizeof host));
	OK(cuMemcpyHtoD_v2(p, host, sizeof host));

	faults("bandwidth=80000000");
	uint64_t t = now();
	OK(cuMemcpyHtoDAsync_v2(p, host, sizeof host, NULL));
	CHECK(now() - t < 80000000);
	OK(cuCtxSynchronize());
	CHECK(now() - t >= 100000000);

	faults("lost=0");
	usleep(20000);
	GIVES(CUDA_ERROR_UNKNOWN, cuMemAlloc_v2(&p, MIB));
	GIVES(CUDA_ERROR_UNKNOWN, cuCtxSynchronize());
	GIVES(NVML_ERROR_GPU_IS_LOST, nvmlDeviceGetMemoryInfo(d, &m));
	faults("");
	usleep(20000);
	OK(cuCtxSynchronize());
	return 0;
}
