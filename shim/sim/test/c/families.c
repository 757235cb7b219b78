/* Memory of each family: all of a device can be had, exactly, and no more; freed, all of it is there again. */
#include "test.h"

#define DEVICE GIB /* what the device has */
#define PIECE (64 * MIB)
#define PIECES (DEVICE / PIECE)

struct family {
	const char *name;
	CUresult (*take)(uint64_t *what, size_t bytes);
	void (*give)(uint64_t what);
	void (*after)(void);
};

static CUresult take_plain(uint64_t *p, size_t n)
{
	return cuMemAlloc_v2((CUdeviceptr *)p, n);
}

static void give_plain(uint64_t p)
{
	OK(cuMemFree_v2(p));
}

static CUresult take_pitch(uint64_t *p, size_t n)
{
	size_t pitch;
	CUresult r = cuMemAllocPitch_v2((CUdeviceptr *)p, &pitch, 1000, n / 1024, 4);
	CHECK(r || pitch == 1024);
	return r;
}

static CUresult take_managed(uint64_t *p, size_t n)
{
	return cuMemAllocManaged((CUdeviceptr *)p, n, CU_MEM_ATTACH_GLOBAL);
}

static CUresult take_async(uint64_t *p, size_t n)
{
	return cuMemAllocAsync((CUdeviceptr *)p, n, NULL);
}

static void give_async(uint64_t p)
{
	OK(cuMemFreeAsync(p, NULL));
}

static void settle(void)
{
	OK(cuCtxSynchronize());
}

static CUmemoryPool pool;

static CUresult take_pool(uint64_t *p, size_t n)
{
	if (!pool) {
		CUmemPoolProps props = { .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
					 .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } };
		uint64_t keep = UINT64_MAX;
		OK(cuMemPoolCreate(&pool, &props));
		OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
	}
	return cuMemAllocFromPoolAsync((CUdeviceptr *)p, n, pool, NULL);
}

static void trim_pool(void)
{
	uint64_t reserved, used;
	OK(cuCtxSynchronize());
	OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &reserved));
	OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
	CHECK(reserved == DEVICE && used == 0 && free_bytes() == 0); /* kept, as its threshold says */
	OK(cuMemPoolTrimTo(pool, 0));
}

static CUresult take_physical(uint64_t *p, size_t n)
{
	CUmemAllocationProp prop = on_device(false);
	return cuMemCreate((CUmemGenericAllocationHandle *)p, n, &prop, 0);
}

static CUresult take_shareable(uint64_t *p, size_t n)
{
	CUmemAllocationProp prop = on_device(true);
	return cuMemCreate((CUmemGenericAllocationHandle *)p, n, &prop, 0);
}

static void give_physical(uint64_t p)
{
	OK(cuMemRelease(p));
}

static CUresult take_array(uint64_t *p, size_t n)
{
	CUDA_ARRAY_DESCRIPTOR d = { .Width = 4096, .Height = n / 16384, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1 };
	return cuArrayCreate_v2((CUarray *)p, &d);
}

static CUresult take_array3d(uint64_t *p, size_t n)
{
	CUDA_ARRAY3D_DESCRIPTOR d = { .Width = 1024, .Height = n / 16384 / 16, .Depth = 16,
				      .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 4 };
	return cuArray3DCreate_v2((CUarray *)p, &d);
}

static void give_array(uint64_t p)
{
	OK(cuArrayDestroy((CUarray)(uintptr_t)p));
}

/* One launch allocates and leaves allocated. */
static CUresult take_graph(uint64_t *p, size_t n)
{
	CUgraph g;
	CUgraphNode node;
	CUgraphExec e;
	CUDA_MEM_ALLOC_NODE_PARAMS params = { .poolProps = { .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
							     .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } },
					      .bytesize = n };
	OK(cuGraphCreate(&g, 0));
	OK(cuGraphAddMemAllocNode(&node, g, NULL, 0, &params));
	OK(cuGraphInstantiateWithFlags(&e, g, 0));
	CUresult r = cuGraphLaunch(e, NULL);
	OK(cuGraphExecDestroy(e));
	OK(cuGraphDestroy(g));
	*p = params.dptr;
	return r;
}

static void trim_graphs(void)
{
	uint64_t reserved;
	OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT, &reserved));
	CHECK(reserved == DEVICE);
	OK(cuDeviceGraphMemTrim(0));
}

static const struct family families[] = {
	{ "plain", take_plain, give_plain, NULL },
	{ "pitch", take_pitch, give_plain, NULL },
	{ "managed", take_managed, give_plain, NULL },
	{ "async", take_async, give_async, settle },
	{ "async freed plainly", take_async, give_plain, settle },
	{ "pool", take_pool, give_async, trim_pool },
	{ "physical", take_physical, give_physical, NULL },
	{ "shareable", take_shareable, give_physical, NULL },
	{ "array", take_array, give_array, NULL },
	{ "array3d", take_array3d, give_array, NULL },
	{ "graph", take_graph, give_async, trim_graphs },
};

static void whole(const struct family *f)
{
	uint64_t what[PIECES], more;
	for (int i = 0; i < (int)PIECES; i++) {
		GIVES(CUDA_SUCCESS, f->take(&what[i], PIECE));
		CHECK(free_bytes() == DEVICE - (uint64_t)(i + 1) * PIECE);
	}
	FULL(f->take(&more, PIECE));
	FULL(cuMemAlloc_v2((CUdeviceptr *)&more, 1));
	f->give(what[0]);
	GIVES(CUDA_SUCCESS, f->take(&what[0], PIECE));
	for (int i = 0; i < (int)PIECES; i++)
		f->give(what[i]);
	if (f->after)
		f->after();
	CHECK(free_bytes() == DEVICE);
}

/* To the last 512 bytes. */
static void exact(void)
{
	CUdeviceptr most, last, more;
	OK(cuMemAlloc_v2(&most, DEVICE - 512));
	OK(cuMemAlloc_v2(&last, 1));
	CHECK(free_bytes() == 0);
	FULL(cuMemAlloc_v2(&more, 1));
	OK(cuMemFree_v2(most));
	OK(cuMemFree_v2(last));
	FULL(cuMemAlloc_v2(&more, DEVICE + 1));
	FULL(cuMemAlloc_v2(&more, SIZE_MAX));
}

/* What a pool keeps is given to an allocation of another kind before that is refused. */
static void pools_give_way(void)
{
	CUdeviceptr p, all;
	uint64_t keep = UINT64_MAX;
	CUmemoryPool standard;
	OK(cuDeviceGetDefaultMemPool(&standard, 0));
	OK(cuMemPoolSetAttribute(standard, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
	OK(cuMemAllocAsync(&p, PIECE, NULL));
	OK(cuMemFreeAsync(p, NULL));
	OK(cuCtxSynchronize());
	CHECK(free_bytes() == DEVICE - PIECE);
	OK(cuMemAlloc_v2(&all, DEVICE));
	OK(cuMemFree_v2(all));
	keep = 0;
	OK(cuMemPoolSetAttribute(standard, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
}

static void mipmaps(void)
{
	CUDA_ARRAY3D_DESCRIPTOR d = { .Width = 1024, .Height = 1024, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 4 };
	CUDA_ARRAY_MEMORY_REQUIREMENTS need;
	CUmipmappedArray m;
	CUarray level;
	OK(cuMipmappedArrayCreate(&m, &d, 3));
	CHECK(free_bytes() == DEVICE - (16 + 4 + 1) * MIB);
	OK(cuMipmappedArrayGetLevel(&level, m, 2));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(level));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetMemoryRequirements(&need, m, 0));
	OK(cuMipmappedArrayDestroy(m));
	d.Flags = CUDA_ARRAY3D_DEFERRED_MAPPING;
	OK(cuArray3DCreate_v2(&level, &d));
	OK(cuArrayGetMemoryRequirements(&need, level, 0));
	CHECK(need.size == 16 * MIB && free_bytes() == DEVICE);
	OK(cuArrayDestroy(level));
}

/* A context takes what it is said to take, and gives back all that was allocated in it. */
static void contexts(void)
{
	CUcontext c;
	CUdeviceptr p;
	CUstream s;
	setenv("WEIR_SIM_CONTEXT", "100", 1);
	size_t before = free_bytes();
	OK(cuCtxCreate_v2(&c, 0, 0));
	CHECK(free_bytes() == before - 100 * MIB);
	OK(cuMemAlloc_v2(&p, PIECE));
	OK(cuStreamCreate(&s, 0));
	OK(cuCtxDestroy_v2(c));
	CHECK(free_bytes() == before);
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(s));
	OK(cuMemAlloc_v2(&p, DEVICE - 99 * MIB));
	FULL(cuCtxCreate_v2(&c, 0, 0));
	OK(cuMemFree_v2(p));
}

int main(void)
{
	size_t total;
	begin();
	OK(cuDeviceTotalMem_v2(&total, 0));
	CHECK(total == DEVICE && free_bytes() == DEVICE);
	OK(cuMemGetInfo_v2(NULL, NULL));
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		fprintf(stderr, "%s\n", families[i].name);
		whole(&families[i]);
	}
	exact();
	pools_give_way();
	mipmaps();
	contexts();
	return 0;
}
