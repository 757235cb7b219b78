/*
 * Every way to launch waits for a lease. Usage: gated_test, in a container that
 * gets none for a while: each way is tried by a thread of its own, and none comes
 * back; what is captured is no launch, and does.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "try.h"

static CUcontext ctx;
static CUfunction function;
static CUgraphExec exec;

static CUresult kernel(CUstream s) { return cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL); }
static CUresult kernel2(CUstream s) { return cuLaunchKernel_ptsz(function, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL); }
static CUresult cooperative(CUstream s) { return cuLaunchCooperativeKernel(function, 1, 1, 1, 1, 1, 1, 0, s, NULL); }
static CUresult cooperative2(CUstream s)
{
	return cuLaunchCooperativeKernel_ptsz(function, 1, 1, 1, 1, 1, 1, 0, s, NULL);
}

static CUresult configured(CUstream s)
{
	CUlaunchConfig c = {1, 1, 1, 1, 1, 1, 0, s, NULL, 0};
	return cuLaunchKernelEx(&c, function, NULL, NULL);
}

static CUresult configured2(CUstream s)
{
	CUlaunchConfig c = {1, 1, 1, 1, 1, 1, 0, s, NULL, 0};
	return cuLaunchKernelEx_ptsz(&c, function, NULL, NULL);
}

static CUresult several(CUstream s)
{
	CUDA_LAUNCH_PARAMS p = {function, 1, 1, 1, 1, 1, 1, 0, s, NULL};
	return cuLaunchCooperativeKernelMultiDevice(&p, 1, 0);
}

static CUresult graph(CUstream s) { return cuGraphLaunch(exec, s); }
static CUresult graph2(CUstream s) { return cuGraphLaunch_ptsz(exec, s); }

static CUresult old(CUstream s)
{
	(void)s;
	return cuLaunch(function);
}

static CUresult grid(CUstream s)
{
	(void)s;
	return cuLaunchGrid(function, 1, 1);
}

static CUresult grid_async(CUstream s) { return cuLaunchGridAsync(function, 1, 1, s); }

static const struct way {
	const char *name;
	CUresult (*launch)(CUstream s);
} ways[] = {
	{"cuLaunchKernel", kernel},
	{"cuLaunchKernel_ptsz", kernel2},
	{"cuLaunchCooperativeKernel", cooperative},
	{"cuLaunchCooperativeKernel_ptsz", cooperative2},
	{"cuLaunchKernelEx", configured},
	{"cuLaunchKernelEx_ptsz", configured2},
	{"cuLaunchCooperativeKernelMultiDevice", several},
	{"cuGraphLaunch", graph},
	{"cuGraphLaunch_ptsz", graph2},
	{"cuLaunch", old},
	{"cuLaunchGrid", grid},
	{"cuLaunchGridAsync", grid_async},
};

#define WAYS (sizeof ways / sizeof *ways)

static _Atomic int came_back[WAYS];

static void *try_way(void *arg)
{
	const struct way *w = arg;
	CUstream s;
	OK(cuCtxSetCurrent(ctx));
	OK(cuStreamCreate(&s, 1));
	(void)w->launch(s);
	atomic_store(&came_back[w - ways], 1);
	return NULL;
}

int main(void)
{
	CUmodule module;
	CUstream s;
	CUgraph g;
	pthread_t thread;

	ctx = try_begin(0);
	OK(cuModuleLoadData(&module, "image"));
	OK(cuModuleGetFunction(&function, module, "spin_10us"));
	OK(cuStreamCreate(&s, 1));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (int i = 0; i < 100; i++)
		OK(i % 2 ? kernel(s) : configured(s)); /* captured: nothing waits */
	OK(cuStreamEndCapture(s, &g));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	for (size_t i = 0; i < WAYS; i++)
		EXPECT(pthread_create(&thread, NULL, try_way, (void *)&ways[i]) == 0, "a thread");
	usleep(500000);
	for (size_t i = 0; i < WAYS; i++)
		EXPECT(!atomic_load(&came_back[i]), "%s does not wait for a lease", ways[i].name);
	_exit(0);
}
