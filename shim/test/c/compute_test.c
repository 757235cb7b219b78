/*
 * Launches back to back. Usage:
 *   compute_test run NANOSECONDS SECONDS kernel|graph|streams [AHEAD]
 *     says which part of the time, in thousandths, its kernels of that length had
 *     the device; AHEAD launches are put on a stream before it is waited for
 *   compute_test cost LAUNCHES    what a launch costs, with the shim and without, in nanoseconds, and the difference
 *   compute_test threads SECONDS  threads that launch into streams that come and go, while others capture and allocate
 *   compute_test burst SECONDS    short bursts with pauses: how long a launch waits, in microseconds
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "try.h"

#define STREAMS 4

static CUfunction kernel(uint64_t ns)
{
	CUmodule module;
	CUfunction f;
	char name[64];

	snprintf(name, sizeof name, "spin_%lluns", (unsigned long long)ns);
	OK(cuModuleLoadData(&module, "image"));
	OK(cuModuleGetFunction(&f, module, name));
	return f;
}

static void launch(CUfunction f, CUstream s)
{
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
}

/* Ten kernels in one graph. */
static CUgraphExec graph_of(CUfunction f)
{
	CUstream s;
	CUgraph g;
	CUgraphExec exec;

	OK(cuStreamCreate(&s, 1));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (int i = 0; i < 10; i++)
		launch(f, s);
	OK(cuStreamEndCapture(s, &g));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	return exec;
}

static void run(uint64_t ns, double seconds, const char *how, int ahead)
{
	CUfunction f = kernel(ns);
	CUstream s[STREAMS];
	CUgraphExec exec = strcmp(how, "graph") == 0 ? graph_of(f) : NULL;
	int streams = strcmp(how, "streams") == 0 ? STREAMS : 1;
	uint64_t begin = try_now(), until = begin + (uint64_t)(seconds * 1e9), done = 0;

	for (int i = 0; i < streams; i++)
		OK(cuStreamCreate(&s[i], 1));
	while (try_now() < until) {
		for (int i = 0; i < ahead && try_now() < until; i++) {
			if (exec != NULL)
				OK(cuGraphLaunch(exec, s[0]));
			else
				launch(f, s[i % streams]);
			done += exec != NULL ? 10 : 1;
		}
		for (int i = 0; i < streams; i++)
			OK(cuStreamSynchronize(s[i]));
	}
	uint64_t took = try_now() - begin;
	printf("%.1f\n", (double)(done * ns) * 1000 / (double)took);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* The median of the time of one launch, in nanoseconds. */
static uint32_t median(__typeof__(cuLaunchKernel) *launch_kernel, CUfunction f, CUstream s, uint32_t *times, int n)
{
	for (int i = 0; i < n; i++) {
		uint64_t t = try_now();
		OK(launch_kernel(f, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
		times[i] = (uint32_t)(try_now() - t);
		if (i % 100 == 99)
			OK(cuStreamSynchronize(s));
	}
	qsort(times, (size_t)n, sizeof *times, by_size);
	return times[n / 2];
}

static void cost(int n)
{
	CUfunction f = kernel(1);
	CUstream s;
	uint32_t *times = calloc((size_t)n, sizeof *times), best = UINT32_MAX, bare = 0, shim = 0;
	__typeof__(cuLaunchKernel) *driver;
	void *handle = dlopen(getenv("DRIVER"), RTLD_NOW | RTLD_LOCAL);

	EXPECT(times != NULL && handle != NULL, "%s", dlerror());
	*(void **)&driver = dlsym(handle, "cuLaunchKernel");
	EXPECT(driver != NULL && driver != cuLaunchKernel, "the driver's own");
	OK(cuStreamCreate(&s, 1));
	/* One after the other, several times: the machine has other things to do as well. */
	for (int i = 0; i < 7; i++) {
		uint32_t without = median(driver, f, s, times, n), with = median(cuLaunchKernel, f, s, times, n);
		uint32_t difference = with > without ? with - without : 0;
		if (difference < best) {
			best = difference;
			bare = without;
			shim = with;
		}
	}
	printf("%u %u %u\n", shim, bare, best);
}

static void burst(double seconds)
{
	CUfunction f = kernel(1000000);
	uint64_t until = try_now() + (uint64_t)(seconds * 1e9), worst = 0;

	while (try_now() < until) {
		uint64_t t = try_now();
		launch(f, NULL);
		t = try_now() - t;
		worst = t > worst ? t : worst;
		for (int i = 0; i < 4; i++)
			launch(f, NULL);
		OK(cuStreamSynchronize(NULL));
		usleep(30000);
	}
	printf("%llu\n", (unsigned long long)worst / 1000);
}

static uint64_t threads_until;

static void *launcher(void *arg)
{
	CUcontext ctx = arg;
	OK(cuCtxSetCurrent(ctx));
	CUfunction f = kernel(200000);
	while (try_now() < threads_until) {
		CUstream s;
		CUdeviceptr p;
		OK(cuStreamCreate(&s, 1));
		for (int i = 0; i < 20; i++) {
			launch(f, s);
			OK(cuLaunchKernel_ptsz(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
		}
		CUresult r = cuMemAllocAsync(&p, MIB, s);
		EXPECT(r == CUDA_SUCCESS || r == CUDA_ERROR_OUT_OF_MEMORY, "%d", r);
		if (r == CUDA_SUCCESS)
			OK(cuMemFreeAsync(p, s));
		OK(cuStreamDestroy_v2(s));
	}
	return NULL;
}

static void *capturer(void *arg)
{
	CUcontext ctx = arg;
	OK(cuCtxSetCurrent(ctx));
	CUfunction f = kernel(10000);
	CUstream s;
	OK(cuStreamCreate(&s, 1));
	while (try_now() < threads_until) {
		CUgraph g;
		CUgraphExec exec;
		OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
		for (int i = 0; i < 10; i++)
			launch(f, s);
		OK(cuStreamEndCapture(s, &g));
		OK(cuGraphInstantiateWithFlags(&exec, g, 0));
		OK(cuGraphLaunch(exec, s));
		OK(cuStreamSynchronize(s));
		OK(cuGraphExecDestroy(exec));
		OK(cuGraphDestroy(g));
	}
	return NULL;
}

static void threads(double seconds)
{
	CUcontext ctx;
	pthread_t t[4];

	OK(cuCtxGetCurrent(&ctx));
	threads_until = try_now() + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < 4; i++)
		EXPECT(pthread_create(&t[i], NULL, i < 3 ? launcher : capturer, ctx) == 0, "a thread");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	EXPECT(argc >= 3, "usage: compute_test run NANOSECONDS SECONDS kernel|graph|streams [AHEAD]");
	try_begin(0);
	if (strcmp(argv[1], "run") == 0)
		run(strtoull(argv[2], NULL, 0), atof(argv[3]), argv[4], argc > 5 ? atoi(argv[5]) : 1000000);
	else if (strcmp(argv[1], "cost") == 0)
		cost(atoi(argv[2]));
	else if (strcmp(argv[1], "threads") == 0)
		threads(atof(argv[2]));
	else
		burst(atof(argv[2]));
	return 0;
}
