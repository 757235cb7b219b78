/*
 * Says what it sees of its first device, and takes memory of it, by words:
 *
 *     views     bytes: free and in all by the driver, in all by the device; in all, free and used by NVML
 *     take N    takes N bytes, and says the driver's code
 *     past N    the same, past whatever stands before the driver ($WEIR_PAST is its library)
 *     context   makes one more context, and says the code; that of before stays the current one
 *     lie       when it is told to go out it writes into its cell that it has, and stays
 *     pids      the numbers of processes that NVML tells, in all its forms, and its own at the end
 *
 * usage: views [MIB]: takes so much first
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/cuda.h"
#include "abi/nvml.h"
#include "wire.h"

static void check(int r, const char *what)
{
	if (r != 0) {
		printf("%s: error %d\n", what, r);
		exit(1);
	}
}
#define CHECK(call) check((int)(call), #call)

static CUdevice device;
static nvmlDevice_t seen;

static void views(void)
{
	size_t free_bytes, total, all;
	nvmlMemory_t m;
	nvmlMemory_v2_t n = {.version = NVML_MEMORY_V2};

	CHECK(cuMemGetInfo_v2(&free_bytes, &total));
	CHECK(cuDeviceTotalMem_v2(&all, device));
	CHECK(nvmlDeviceGetMemoryInfo(seen, &m));
	CHECK(nvmlDeviceGetMemoryInfo_v2(seen, &n));
	if (m.total != n.total || m.free != n.free || m.used != n.used)
		printf("NVML's two forms differ ");
	printf("%zu %zu %zu %llu %llu %llu\n", free_bytes, total, all, m.total, m.free, m.used);
}

static void past(size_t bytes)
{
	CUresult (*alloc)(CUdeviceptr *, size_t) = NULL;
	void *driver = dlopen(getenv("WEIR_PAST"), RTLD_NOW | RTLD_LOCAL);
	CUdeviceptr p;

	if (driver != NULL)
		*(void **)&alloc = dlsym(driver, "cuMemAlloc_v2");
	printf("%d\n", alloc ? (int)alloc(&p, bytes) : -1);
}

/* Where the shim has mapped what it shares with the agent. */
static void *find_shared(const char *name)
{
	char line[512];
	unsigned long at = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		if (strstr(line, name) != NULL && sscanf(line, "%lx-", &at) == 1)
			break;
	if (maps != NULL)
		fclose(maps);
	return (void *)at;
}

/* As soon as it is told to go out it says that it has. */
static void *liar(void *arg)
{
	struct weir_cells *cells = arg;
	const struct weir_rules *rules = find_shared("-rules");

	while ((rules->place & 1) == 0)
		usleep(1000);
	for (int i = 0; i < WEIR_CELLS; i++) {
		struct weir_cell *c = &cells->cell[i];
		if (c->pid == (uint32_t)getpid() && c->device[0].charged != 0) {
			c->device[0].swapped = (uint64_t)c->device[0].charged;
			c->placed = (uint32_t)rules->place;
		}
	}
	return NULL;
}

/* A capture that does not end keeps the shim from going out. */
static void lie(void)
{
	struct weir_cells *cells = find_shared("-cells");
	CUstream stream;
	pthread_t thread;

	CHECK(cuStreamCreate(&stream, 0));
	CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	if (cells == NULL || pthread_create(&thread, NULL, liar, cells) != 0)
		exit(1);
	puts("it will lie");
}

static void context(void)
{
	CUcontext made, popped;
	CUresult r = cuCtxCreate_v2(&made, 0, device);

	if (r == CUDA_SUCCESS)
		CHECK(cuCtxPopCurrent_v2(&popped));
	printf("%d\n", (int)r);
}

static void pids(void)
{
	nvmlProcessInfo_v1_t one[64];
	nvmlProcessInfo_v2_t two[64];
	nvmlProcessUtilizationSample_t samples[64];
	unsigned int n = 64;

	CHECK(nvmlDeviceGetComputeRunningProcesses(seen, &n, one));
	for (unsigned int i = 0; i < n; i++)
		printf("%u ", one[i].pid);
	n = 64;
	CHECK(nvmlDeviceGetComputeRunningProcesses_v2(seen, &n, two));
	for (unsigned int i = 0; i < n; i++)
		printf("%u ", two[i].pid);
	n = 64;
	CHECK(nvmlDeviceGetComputeRunningProcesses_v3(seen, &n, two));
	for (unsigned int i = 0; i < n; i++)
		printf("%u ", two[i].pid);
	n = 64;
	CHECK(nvmlDeviceGetProcessUtilization(seen, samples, &n, 0));
	for (unsigned int i = 0; i < n; i++)
		printf("%u ", samples[i].pid);
	/* Who has no room is told how many there are. */
	n = 0;
	nvmlReturn_t r = nvmlDeviceGetComputeRunningProcesses_v3(seen, &n, NULL);
	printf("%d:%u %d\n", (int)r, n, (int)getpid());
}

int main(int argc, char **argv)
{
	CUcontext first;
	CUdeviceptr p;
	char line[64];

	CHECK(cuInit(0));
	CHECK(nvmlInit_v2());
	CHECK(nvmlDeviceGetHandleByIndex_v2(0, &seen));
	CHECK(cuDeviceGet(&device, 0));
	CHECK(cuDevicePrimaryCtxRetain(&first, device));
	CHECK(cuCtxSetCurrent(first));
	if (argc > 1)
		CHECK(cuMemAlloc_v2(&p, (size_t)atoi(argv[1]) << 20));
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "views") == 0)
			views();
		else if (strncmp(line, "take ", 5) == 0)
			printf("%d\n", (int)cuMemAlloc_v2(&p, strtoull(line + 5, NULL, 10)));
		else if (strncmp(line, "past ", 5) == 0)
			past(strtoull(line + 5, NULL, 10));
		else if (strcmp(line, "context") == 0)
			context();
		else if (strcmp(line, "lie") == 0)
			lie();
		else if (strcmp(line, "pids") == 0)
			pids();
		else
			printf("%s is no word that I know\n", line);
		fflush(stdout);
	}
	return 0;
}
