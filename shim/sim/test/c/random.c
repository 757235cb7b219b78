/* Operations at random, with a model of what they take beside: never more, never less, and nothing at the end. */
#include "test.h"

#define SLOTS 64

enum { PLAIN, MANAGED, ASYNC, PHYSICAL, ARRAY, KINDS };
static struct {
	int kind;
	uint64_t what, takes;
} slot[SLOTS];

static uint64_t state = 88172645463325252ull;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static uint64_t taken;

static CUresult take(int i)
{
	CUmemAllocationProp prop = on_device(false);
	CUDA_ARRAY_DESCRIPTOR d = { .Width = draw(5000) + 1, .Height = draw(100), .Format = CU_AD_FORMAT_HALF,
				    .NumChannels = 2 };
	uint64_t bytes = draw(20) ? draw(3 * MIB) + 1 : draw(300 * MIB) + 1;
	slot[i].kind = (int)draw(KINDS);
	switch (slot[i].kind) {
	case PLAIN:
		slot[i].takes = (bytes + 511) / 512 * 512;
		return cuMemAlloc_v2((CUdeviceptr *)&slot[i].what, bytes);
	case MANAGED:
		slot[i].takes = (bytes + 511) / 512 * 512;
		return cuMemAllocManaged((CUdeviceptr *)&slot[i].what, bytes, CU_MEM_ATTACH_HOST);
	case ASYNC:
		slot[i].takes = 0; /* its pool's */
		return cuMemAllocAsync((CUdeviceptr *)&slot[i].what, bytes, NULL);
	case PHYSICAL:
		slot[i].takes = (bytes + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
		return cuMemCreate((CUmemGenericAllocationHandle *)&slot[i].what, slot[i].takes, &prop, 0);
	default:
		slot[i].takes = (d.Width * 4 + 511) / 512 * 512 * (d.Height ? d.Height : 1);
		slot[i].takes = (slot[i].takes + 65535) / 65536 * 65536;
		return cuArrayCreate_v2((CUarray *)&slot[i].what, &d);
	}
}

static void give(int i)
{
	switch (slot[i].kind) {
	case PLAIN:
	case MANAGED:
		OK(cuMemFree_v2(slot[i].what));
		break;
	case ASYNC:
		OK(cuMemFreeAsync(slot[i].what, NULL));
		break;
	case PHYSICAL:
		OK(cuMemRelease(slot[i].what));
		break;
	default:
		OK(cuArrayDestroy((CUarray)(uintptr_t)slot[i].what));
	}
	taken -= slot[i].takes;
	slot[i].what = 0;
}

static void step(void)
{
	int i = (int)draw(SLOTS);
	if (slot[i].what) {
		give(i);
		return;
	}
	CUresult r = take(i);
	if (r) {
		GIVES(CUDA_ERROR_OUT_OF_MEMORY, r);
		slot[i].what = 0;
		return;
	}
	taken += slot[i].takes;
	CHECK(taken <= GIB);
}

int main(void)
{
	const char *steps = getenv("STEPS");
	long n = steps ? atol(steps) : 100000;
	CUmemoryPool pool;
	uint64_t reserved;
	begin();
	OK(cuDeviceGetDefaultMemPool(&pool, 0));
	for (long i = 0; i < n; i++) {
		step();
		if (i % 97)
			continue;
		OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &reserved));
		CHECK(free_bytes() == GIB - taken - reserved);
	}
	for (int i = 0; i < SLOTS; i++)
		if (slot[i].what)
			give(i);
	OK(cuCtxSynchronize());
	CHECK(taken == 0 && free_bytes() == GIB);
	return 0;
}
