/*
 * Whatever is asked, the answer is the driver's: each wrapped function is called
 * with NULL, zero and nonsense in every place, once at the driver and once at the
 * shim. Usage: null_test ROUNDS; $DRIVER is the driver's library.
 */
#include <dlfcn.h>
#include <string.h>

#include "try.h"

#define PLACES 12

typedef CUresult call(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
		      uint64_t, uint64_t, uint64_t);

/* p: a place in memory, or NULL; h: a handle that is none; n: a number; d: a device, or none; z: zero.
 * Left out is what changes the state of the process when it succeeds. */
static const struct {
	const char *name, *places;
} calls[] = {
	{"cuInit", "n"},
	{"cuDeviceTotalMem_v2", "pd"},
	{"cuMemGetInfo_v2", "pp"},
	{"cuMemAlloc_v2", "pn"},
	{"cuMemAllocPitch_v2", "ppnnn"},
	{"cuMemAllocManaged", "pnn"},
	{"cuMemFree_v2", "h"},
	{"cuArrayCreate_v2", "pp"},
	{"cuArray3DCreate_v2", "pp"},
	{"cuArrayDestroy", "h"},
	{"cuMipmappedArrayCreate", "ppn"},
	{"cuMipmappedArrayDestroy", "h"},
	{"cuMemCreate", "pnpz"},
	{"cuMemRelease", "h"},
	{"cuMemRetainAllocationHandle", "ph"},
	{"cuMemMap", "hnnhz"},
	{"cuMemUnmap", "hn"},
	{"cuMemAllocAsync", "pnh"},
	{"cuMemAllocAsync_ptsz", "pnh"},
	{"cuMemAllocFromPoolAsync", "pnhh"},
	{"cuMemAllocFromPoolAsync_ptsz", "pnhh"},
	{"cuMemFreeAsync", "hh"},
	{"cuMemFreeAsync_ptsz", "hh"},
	{"cuMemPoolCreate", "pp"},
	{"cuMemPoolDestroy", "h"},
	{"cuMemPoolTrimTo", "hn"},
	{"cuDeviceGraphMemTrim", "d"},
	{"cuGraphAddMemAllocNode", "phpzp"},
	{"cuGraphDestroy", "h"},
	{"cuGraphExecDestroy", "h"},
	{"cuGraphInstantiateWithFlags", "phn"},
	{"cuGraphInstantiateWithParams", "php"},
	{"cuGraphUpload", "hh"},
	{"cuGraphLaunch", "hh"},
	{"cuGraphLaunch_ptsz", "hh"},
	{"cuCtxDestroy_v2", "h"},
	{"cuDevicePrimaryCtxRetain", "pd"},
	{"cuStreamDestroy_v2", "h"},
	{"cuStreamBeginCapture_v2", "hn"},
	{"cuStreamEndCapture", "hp"},
	{"cuLaunchKernel", "hnnnnnnnhpz"},
	{"cuLaunchKernel_ptsz", "hnnnnnnnhpz"},
	{"cuLaunchKernelEx", "phpz"},
	{"cuLaunchKernelEx_ptsz", "phpz"},
	{"cuLaunchCooperativeKernel", "hnnnnnnnhp"},
	{"cuLaunchCooperativeKernelMultiDevice", "pnn"},
	{"cuLaunch", "h"},
	{"cuLaunchGrid", "hnn"},
	{"cuLaunchGridAsync", "hnnh"},
};

static char scratch[1 << 20];

static uint64_t value(char place)
{
	static const uint64_t numbers[] = {0, 1, 2, 512, 4096};
	uint64_t k = (uint64_t)rand();

	switch (place) {
	case 'p':
		return k % 3 ? (uint64_t)(uintptr_t)scratch + k % 8 * 4096 : 0;
	case 'h':
		return k % 3 ? (uint64_t)(uintptr_t)scratch + k % 8 * 4096 : 0;
	case 'n':
		return numbers[k % 5];
	case 'd':
		return k % 4 ? 0 : k % 8 ? 99 : (uint64_t)-1;
	default:
		return 0;
	}
}

static CUresult ask(call *fn, const uint64_t a[PLACES])
{
	/* What an earlier answer left does not change this one. */
	memset(scratch, 0, sizeof scratch);
	return fn(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100, asked = 0, agreed = 0;
	void *driver = dlopen(getenv("DRIVER"), RTLD_NOW | RTLD_LOCAL), *shim = dlopen("libcuda.so.1", RTLD_NOW);

	EXPECT(driver != NULL && shim != NULL, "%s", dlerror());
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		call *theirs, *ours;
		*(void **)&theirs = dlsym(driver, calls[i].name);
		*(void **)&ours = dlsym(shim, calls[i].name);
		EXPECT(theirs != NULL && ours != NULL && theirs != ours, "%s is wrapped", calls[i].name);
		for (int r = 0; r < rounds; r++) {
			uint64_t a[PLACES] = {0};
			for (size_t k = 0; calls[i].places[k] != 0; k++)
				a[k] = value(calls[i].places[k]);
			CUresult without = ask(theirs, a), with = ask(ours, a);
			EXPECT(with == without, "%s(%llx, %llx, %llx, %llx): the driver says %d, the shim %d",
			       calls[i].name, (unsigned long long)a[0], (unsigned long long)a[1],
			       (unsigned long long)a[2], (unsigned long long)a[3], without, with);
			asked++;
			agreed += with == CUDA_SUCCESS;
		}
		/* The first of all is asked before there is a context, the others with one. */
		if (i == 0)
			try_begin(0);
	}
	printf("%d calls, %d of which succeeded\n", asked, agreed);
	return 0;
}
