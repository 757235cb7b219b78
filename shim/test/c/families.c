/* The ways in which a program takes memory: see families.h. */
#include "families.h"

#include <string.h>

#include "../../abi/nvml.h"

static CUresult plain(uint64_t bytes, uint64_t out[2])
{
	CUdeviceptr p = 0;
	CUresult r = cuMemAlloc_v2(&p, bytes);
	out[0] = p;
	return r;
}

static void plain_free(uint64_t bytes, const uint64_t had[2])
{
	(void)bytes;
	OK(cuMemFree_v2(had[0]));
}

/* Rows of one grain, so that the pitch is the width. */
static CUresult pitch(uint64_t bytes, uint64_t out[2])
{
	CUdeviceptr p = 0;
	size_t pitch_bytes;
	CUresult r = cuMemAllocPitch_v2(&p, &pitch_bytes, 65536, bytes / 65536, 4);
	out[0] = p;
	return r;
}

static CUresult managed(uint64_t bytes, uint64_t out[2])
{
	CUdeviceptr p = 0;
	CUresult r = cuMemAllocManaged(&p, bytes, CU_MEM_ATTACH_GLOBAL);
	out[0] = p;
	return r;
}

/* Mapped, and its handle released at once: the mapping alone keeps it. */
static CUresult physical(uint64_t bytes, uint64_t out[2])
{
	CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
				    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
	CUmemGenericAllocationHandle handle, again;
	CUdeviceptr at;
	CUresult r = cuMemCreate(&handle, bytes, &prop, 0);

	if (r != CUDA_SUCCESS)
		return r;
	OK(cuMemAddressReserve(&at, bytes, 0, 0, 0));
	OK(cuMemMap(at, bytes, 0, handle, 0));
	OK(cuMemRelease(handle));
	OK(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)at));
	OK(cuMemRelease(again));
	out[0] = at;
	return r;
}

static void physical_free(uint64_t bytes, const uint64_t had[2])
{
	OK(cuMemUnmap(had[0], bytes));
	OK(cuMemAddressFree(had[0], bytes));
}

static CUresult async(uint64_t bytes, uint64_t out[2])
{
	CUdeviceptr p = 0;
	CUresult r = cuMemAllocAsync(&p, bytes, NULL);
	out[0] = p;
	return r;
}

static void async_free(uint64_t bytes, const uint64_t had[2])
{
	(void)bytes;
	OK(cuMemFreeAsync(had[0], NULL));
}

static void async_flush(void)
{
	CUmemoryPool pool;
	OK(cuCtxSynchronize());
	OK(cuDeviceGetDefaultMemPool(&pool, 0));
	OK(cuMemPoolTrimTo(pool, 0));
}

/* A pool of our own, destroyed while its memory is in use: it lives on until that is freed. */
static CUresult own_pool(uint64_t bytes, uint64_t out[2])
{
	CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
	CUmemoryPool pool;
	CUdeviceptr p = 0;

	OK(cuMemPoolCreate(&pool, &props));
	CUresult r = cuMemAllocFromPoolAsync(&p, bytes, pool, NULL);
	out[0] = p;
	out[1] = (uint64_t)(uintptr_t)pool;
	if (r != CUDA_SUCCESS)
		OK(cuMemPoolDestroy(pool));
	return r;
}

static void own_pool_free(uint64_t bytes, const uint64_t had[2])
{
	(void)bytes;
	OK(cuMemFreeAsync(had[0], NULL));
	OK(cuCtxSynchronize());
	OK(cuMemPoolDestroy((CUmemoryPool)(uintptr_t)had[1]));
}

static CUresult array(uint64_t bytes, uint64_t out[2])
{
	CUDA_ARRAY_DESCRIPTOR desc = {65536 / 4, bytes / 65536, CU_AD_FORMAT_FLOAT, 1};
	CUarray a = NULL;
	CUresult r = cuArrayCreate_v2(&a, &desc);
	out[0] = (uint64_t)(uintptr_t)a;
	return r;
}

static void array_free(uint64_t bytes, const uint64_t had[2])
{
	(void)bytes;
	OK(cuArrayDestroy((CUarray)(uintptr_t)had[0]));
}

static CUresult array3d(uint64_t bytes, uint64_t out[2])
{
	CUDA_ARRAY3D_DESCRIPTOR desc = {65536 / 4, 16, bytes / 65536 / 16, CU_AD_FORMAT_FLOAT, 1, 0};
	CUarray a = NULL;
	CUresult r = cuArray3DCreate_v2(&a, &desc);
	out[0] = (uint64_t)(uintptr_t)a;
	return r;
}

/* A graph that takes memory and keeps it until it is destroyed. */
static CUresult graph(uint64_t bytes, uint64_t out[2])
{
	CUDA_MEM_ALLOC_NODE_PARAMS params = {
		.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
		.bytesize = bytes};
	CUgraph g;
	CUgraphNode node;
	CUgraphExec exec;

	OK(cuGraphCreate(&g, 0));
	OK(cuGraphAddMemAllocNode(&node, g, NULL, 0, &params));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	CUresult r = cuGraphLaunch(exec, NULL);
	OK(cuCtxSynchronize());
	out[0] = params.dptr;
	out[1] = (uint64_t)(uintptr_t)exec;
	if (r != CUDA_SUCCESS)
		OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(g));
	return r;
}

static void graph_free(uint64_t bytes, const uint64_t had[2])
{
	(void)bytes;
	OK(cuMemFree_v2(had[0]));
	OK(cuGraphExecDestroy((CUgraphExec)(uintptr_t)had[1]));
}

static void graph_flush(void)
{
	OK(cuDeviceGraphMemTrim(0));
}

const struct family families[] = {
	{"plain", plain, plain_free, NULL, 512},
	{"pitch", pitch, plain_free, NULL, 65536},
	{"managed", managed, plain_free, NULL, 512},
	{"physical", physical, physical_free, NULL, 2 * MIB},
	{"async", async, async_free, async_flush, 2 * MIB},
	{"pool", own_pool, own_pool_free, NULL, 2 * MIB},
	{"array", array, array_free, NULL, 65536},
	{"array3d", array3d, array_free, NULL, MIB},
	{"graph", graph, graph_free, graph_flush, 2 * MIB},
};
const int family_count = sizeof families / sizeof *families;

const struct family *family(const char *name)
{
	for (int i = 0; i < family_count; i++)
		if (strcmp(families[i].name, name) == 0)
			return &families[i];
	return NULL;
}

void views(uint64_t *free, uint64_t *total)
{
	size_t driver_free, driver_total, device_total;
	nvmlDevice_t device;
	nvmlMemory_t memory;
	nvmlMemory_v2_t memory2 = {.version = NVML_MEMORY_V2};

	OK(cuMemGetInfo_v2(&driver_free, &driver_total));
	OK(cuDeviceTotalMem_v2(&device_total, 0));
	OK(nvmlInit_v2());
	OK(nvmlDeviceGetHandleByIndex_v2(0, &device));
	OK(nvmlDeviceGetMemoryInfo(device, &memory));
	OK(nvmlDeviceGetMemoryInfo_v2(device, &memory2));
	EXPECT(driver_total == device_total, "%zu, %zu", driver_total, device_total);
	EXPECT(memory.total == driver_total && memory2.total == driver_total, "%llu", memory.total);
	EXPECT(memory.free == driver_free && memory2.free == driver_free, "%llu free, %zu", memory.free, driver_free);
	EXPECT(memory.used == memory.total - memory.free, "%llu used", memory.used);
	EXPECT(memory2.used == memory.used, "%llu used", memory2.used);
	OK(nvmlShutdown());
	*free = driver_free;
	*total = driver_total;
}
