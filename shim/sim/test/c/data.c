/* Bytes: copies and memsets of all kinds are real, memory moves with its contents, and is shared by handles. */
#include "test.h"

#define N 4096

static unsigned char host[4 * MIB], back[4 * MIB];

static void copies(void)
{
	CUdeviceptr a, b;
	CUstream s;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc_v2(&a, N));
	OK(cuMemAlloc_v2(&b, N));
	for (int i = 0; i < N; i++)
		host[i] = (unsigned char)(i * 7);
	OK(cuMemcpyHtoD_v2(a, host, N));
	OK(cuMemcpyDtoDAsync_v2(b, a, N, s));
	OK(cuMemcpyDtoHAsync_v2(back, b, N, s));
	OK(cuStreamSynchronize(s));
	CHECK(!memcmp(host, back, N));
	OK(cuMemsetD32_v2(a, 0x01020304, N / 4));
	OK(cuMemsetD16_v2(a, 0xabcd, 1));
	OK(cuMemsetD8_v2(a + 4, 9, 1));
	OK(cuMemcpy((CUdeviceptr)(uintptr_t)back, a, 8));
	CHECK(!memcmp(back, "\xcd\xab\x02\x01\x09\x03\x02\x01", 8));
	OK(cuMemsetD2D8_v2(b, 64, 0xee, 2, 3));
	OK(cuMemcpyDtoH_v2(back, b, N));
	CHECK(back[0] == 0xee && back[1] == 0xee && back[2] == host[2] && back[129] == 0xee && back[130] == host[130]);
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(a, host, N + 1));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH_v2(back, a + N, 1));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD8_v2(b, 0, N + 1));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD32_v2(b + 1, 0, 1));
	OK(cuMemFree_v2(a));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(a));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(b + 1));
	OK(cuMemFree_v2(b));
	OK(cuStreamDestroy_v2(s));
}

static void rows(void)
{
	CUdeviceptr p;
	size_t pitch;
	CUarray array;
	CUDA_ARRAY_DESCRIPTOR d = { .Width = 100, .Height = 10, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1 };
	OK(cuMemAllocPitch_v2(&p, &pitch, 100, 10, 4));
	OK(cuArrayCreate_v2(&array, &d));
	CUDA_MEMCPY2D in = { .srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = host, .srcPitch = 100,
			     .dstMemoryType = CU_MEMORYTYPE_DEVICE, .dstDevice = p, .dstPitch = pitch,
			     .WidthInBytes = 100, .Height = 10 };
	CUDA_MEMCPY2D over = { .srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = p, .srcPitch = pitch,
			       .dstMemoryType = CU_MEMORYTYPE_ARRAY, .dstArray = array, .WidthInBytes = 100, .Height = 10 };
	CUDA_MEMCPY2D out = { .srcMemoryType = CU_MEMORYTYPE_ARRAY, .srcArray = array, .srcXInBytes = 10, .srcY = 1,
			      .dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = back, .dstPitch = 90,
			      .WidthInBytes = 90, .Height = 9 };
	OK(cuMemcpy2D_v2(&in));
	OK(cuMemcpy2DAsync_v2(&over, NULL));
	OK(cuMemcpy2DUnaligned_v2(&out));
	for (int y = 0; y < 9; y++)
		CHECK(!memcmp(back + 90 * y, host + 100 * (y + 1) + 10, 90));
	in.Height = 11;
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&in));
	OK(cuArrayDestroy(array));
	OK(cuMemFree_v2(p));
}

static void give_access(CUdeviceptr p, size_t bytes)
{
	CUmemAccessDesc access = { { CU_MEM_LOCATION_TYPE_DEVICE, 0 }, CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
	OK(cuMemSetAccess(p, bytes, &access, 1));
}

/* Memory is taken out, and put back elsewhere in the device, at the same address: as a swap does. */
static void moves(void)
{
	CUmemAllocationProp prop = on_device(false);
	CUmemGenericAllocationHandle one, two, same;
	CUdeviceptr p, wish;
	size_t grain, before = free_bytes();
	CUfunction add = kernel("add_u32");
	OK(cuMemGetAllocationGranularity(&grain, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	CHECK(grain == 2 * MIB);
	OK(cuMemAddressReserve(&p, 4 * grain, 0, 0, 0));
	OK(cuMemCreate(&one, grain, &prop, 0));
	OK(cuMemCreate(&two, grain, &prop, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemMap(p + 4 * grain, grain, 0, one, 0));
	OK(cuMemMap(p, grain, 0, one, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemMap(p, grain, 0, two, 0));
	OK(cuMemMap(p + grain, grain, 0, two, 0));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD8_v2(p, 1, 1)); /* no access yet */
	give_access(p, 2 * grain);
	OK(cuMemsetD32_v2(p, 5, 2 * grain / 4)); /* over both */
	OK(cuMemRelease(one));
	OK(cuMemRelease(two));
	CHECK(free_bytes() == before - 2 * grain); /* the mappings hold it */
	OK(cuMemRetainAllocationHandle(&same, (void *)(uintptr_t)(p + grain + 100)));
	OK(cuMemcpyDtoH_v2(host, p, grain));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(p, grain / 2));
	OK(cuMemUnmap(p, 2 * grain));
	CHECK(free_bytes() == before - grain); /* and the handle */
	OK(cuMemRelease(same));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemRelease(same));
	CHECK(free_bytes() == before);
	OK(cuMemCreate(&one, grain, &prop, 0));
	OK(cuMemMap(p, grain, 0, one, 0));
	give_access(p, grain);
	OK(cuMemcpyHtoD_v2(p, host, grain));
	uint64_t count = grain / 4;
	uint32_t value = 3;
	void *params[] = { &p, &count, &value };
	OK(cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
	OK(cuMemcpyDtoH_v2(back, p, grain));
	for (uint64_t i = 0; i < count; i++)
		CHECK(((uint32_t *)back)[i] == 8);
	count++;
	GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(p, 4 * grain)); /* something is mapped */
	OK(cuMemUnmap(p, grain));
	OK(cuMemRelease(one));
	OK(cuMemAddressFree(p, 4 * grain));
	OK(cuMemAddressReserve(&wish, grain, 0, p, 0));
	CHECK(wish == p);
	OK(cuMemAddressFree(wish, grain));
	CHECK(free_bytes() == before);
}

/* Reads a handle from descriptor 100, has memory as descriptor 101, looks at both, and writes in them. */
static int ipc_child(void)
{
	CUipcMemHandle h;
	CUdeviceptr p;
	CUmemGenericAllocationHandle physical;
	begin();
	CHECK(read(100, &h, sizeof h) == sizeof h);
	size_t before = free_bytes();
	OK(cuIpcOpenMemHandle_v2(&p, h, 1));
	OK(cuMemcpyDtoH_v2(back, p, N));
	CHECK(back[17] == 17);
	OK(cuMemsetD8_v2(p, 99, 1));
	OK(cuIpcCloseMemHandle(p));
	OK(cuMemImportFromShareableHandle(&physical, (void *)(uintptr_t)101, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
	OK(cuMemAddressReserve(&p, 2 * MIB, 0, 0, 0));
	OK(cuMemMap(p, 2 * MIB, 0, physical, 0));
	give_access(p, 2 * MIB);
	OK(cuMemcpyDtoH_v2(back, p, 1));
	CHECK(back[0] == 42);
	OK(cuMemsetD8_v2(p, 43, 1));
	CHECK(free_bytes() == before); /* what is shared is its owner's */
	return 0;
}

static void shares(void)
{
	CUipcMemHandle h;
	CUdeviceptr p, q;
	CUmemGenericAllocationHandle physical;
	CUmemAllocationProp prop = on_device(true);
	int fds[2], fd;
	for (int i = 0; i < N; i++)
		host[i] = (unsigned char)i;
	OK(cuMemAlloc_v2(&p, 16 * MIB));
	OK(cuMemcpyHtoD_v2(p, host, N));
	OK(cuIpcGetMemHandle(&h, p));
	GIVES(CUDA_ERROR_INVALID_CONTEXT, cuIpcOpenMemHandle_v2(&q, h, 1)); /* not by the one who has it */
	OK(cuMemCreate(&physical, 2 * MIB, &prop, 0));
	OK(cuMemAddressReserve(&q, 2 * MIB, 0, 0, 0));
	OK(cuMemMap(q, 2 * MIB, 0, physical, 0));
	give_access(q, 2 * MIB);
	OK(cuMemsetD8_v2(q, 42, 1));
	OK(cuMemExportToShareableHandle(&fd, physical, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	CHECK(!pipe(fds) && write(fds[1], &h, sizeof h) == sizeof h);
	CHECK(dup2(fds[0], 100) == 100 && dup2(fd, 101) == 101);
	finish(spawn("ipc"));
	OK(cuMemcpyDtoH_v2(back, p, N));
	CHECK(back[0] == 99 && back[1] == 1);
	OK(cuMemcpyDtoH_v2(back, q, 1));
	CHECK(back[0] == 43);
	OK(cuMemFree_v2(p));
	OK(cuMemUnmap(q, 2 * MIB));
	OK(cuMemRelease(physical));
	OK(cuMemAddressFree(q, 2 * MIB));
}

static void pinned(void)
{
	void *p;
	CUdeviceptr d;
	unsigned type;
	static unsigned char mine[8192];
	OK(cuMemHostAlloc(&p, N, 2));
	memset(p, 1, N);
	OK(cuMemHostGetDevicePointer_v2(&d, p, 0));
	OK(cuMemsetD8_v2(d, 2, N));
	CHECK(*(char *)p == 2);
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, d));
	CHECK(type == CU_MEMORYTYPE_HOST);
	OK(cuMemFreeHost(p));
	OK(cuMemHostRegister_v2(mine, sizeof mine, 0));
	GIVES(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister_v2(mine + 8, 8, 0));
	OK(cuMemHostUnregister(mine));
	GIVES(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(mine));
	OK(cuMemAllocManaged(&d, N, CU_MEM_ATTACH_GLOBAL));
	memset((void *)(uintptr_t)d, 5, N); /* managed memory is the host's, too */
	OK(cuMemcpyDtoH_v2(back, d, 1));
	CHECK(back[0] == 5);
	OK(cuMemFree_v2(d));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return strcmp(argv[1], "ipc") ? 1 : ipc_child();
	begin();
	size_t before = free_bytes();
	copies();
	rows();
	moves();
	shares();
	pinned();
	CHECK(free_bytes() == before);
	return 0;
}
