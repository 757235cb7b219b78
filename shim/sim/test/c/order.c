/* Streams keep order and take their time; events, functions of the host, captures and graphs. */
#include "test.h"

#include <pthread.h>

/* Long enough that a machine that has other work may be late by some of it. */
#define TICK 5000000ull

static CUfunction ticks5, ticks20;

/* Whether something took about as long as said: no less, and not much more, on a machine that has other work. */
static bool took(uint64_t since, uint64_t want)
{
	uint64_t t = now() - since;
	if (t >= want && t < want + 100 * TICK)
		return true;
	fprintf(stderr, "took %.3f ms; want %.3f\n", (double)t / 1e6, (double)want / 1e6);
	return false;
}

static void streams(void)
{
	CUstream a, b;
	uint64_t t = now();
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreateWithPriority(&b, 0, -9));
	int priority;
	OK(cuStreamGetPriority(b, &priority));
	CHECK(priority == -5);
	OK(launch(ticks20, a));
	GIVES(CUDA_ERROR_NOT_READY, cuStreamQuery(a));
	OK(cuStreamQuery(b));
	CHECK(now() - t < 15 * TICK); /* a launch waits for nothing */
	OK(launch(ticks20, b));
	OK(cuStreamSynchronize(b)); /* one kernel at a time */
	CHECK(took(t, 40 * TICK));
	OK(cuStreamQuery(a));
	t = now();
	for (int i = 0; i < 4; i++)
		OK(cuLaunchKernel_ptsz(ticks5, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	OK(cuStreamQuery(a));
	OK(cuStreamSynchronize_ptsz(NULL));
	CHECK(took(t, 20 * TICK));
	t = now();
	OK(launch(ticks20, b));
	OK(cuStreamSynchronize(NULL)); /* the legacy stream waits for those that block */
	CHECK(took(t, 20 * TICK));
	OK(cuStreamDestroy_v2(a));
	OK(cuStreamDestroy_v2(b));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy_v2(b));
}

static void launches(void)
{
	uint64_t ns = 3 * TICK, t = now();
	void *params[] = { &ns };
	size_t size = sizeof ns;
	void *extra[] = { (void *)1, &ns, (void *)2, &size, NULL };
	CUfunction spin = kernel("spin");
	CUlaunchConfig config = { 1, 1, 1, 1, 1, 1, 0, NULL, NULL, 0 };
	OK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
	OK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
	OK(cuLaunchKernelEx(&config, spin, params, NULL));
	OK(cuLaunchKernelEx_ptsz(&config, spin, params, NULL));
	OK(cuLaunchCooperativeKernel(spin, 1, 1, 1, 1, 1, 1, 0, NULL, params));
	OK(cuCtxSynchronize());
	CHECK(took(t, 15 * TICK));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(spin, 0, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(spin, 1, 1, 1, 1025, 1, 1, 0, NULL, params, NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(NULL, spin, params, NULL));
	GIVES(CUDA_ERROR_INVALID_HANDLE, launch((CUfunction)params, NULL));
}

static void events(void)
{
	CUevent a, b, untimed;
	CUstream s, after;
	float ms;
	uint64_t t = now();
	OK(cuEventCreate(&a, 0));
	OK(cuEventCreate(&b, CU_EVENT_BLOCKING_SYNC));
	OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&after, CU_STREAM_NON_BLOCKING));
	OK(cuEventQuery(a));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, a, b));
	OK(cuEventRecord(a, s));
	OK(launch(ticks20, s));
	OK(cuEventRecord(b, s));
	OK(cuEventRecord(untimed, s));
	GIVES(CUDA_ERROR_NOT_READY, cuEventQuery(b));
	GIVES(CUDA_ERROR_NOT_READY, cuEventElapsedTime(&ms, a, b));
	OK(cuStreamWaitEvent(after, b, 0));
	GIVES(CUDA_ERROR_NOT_READY, cuStreamQuery(after));
	OK(cuStreamSynchronize(after));
	CHECK(took(t, 20 * TICK));
	OK(cuEventSynchronize(b));
	OK(cuEventElapsedTime(&ms, a, b));
	CHECK(ms >= 99.99f && ms < 400.f);
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime_v2(&ms, a, untimed));
	OK(cuEventDestroy_v2(a));
	OK(cuEventDestroy(b));
	OK(cuEventDestroy_v2(untimed));
	GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventQuery(a));
	OK(cuStreamDestroy_v2(s));
	OK(cuStreamDestroy_v2(after));
}

static uint64_t called;
static unsigned char source[8];

static void call(void *data)
{
	called = now();
	memcpy(source, data, sizeof source);
}

static void call_back(CUstream s, int status, void *data)
{
	CHECK(s && status == 0);
	call(data);
}

/* A function runs when the stream comes to it, and a copy behind it copies what it wrote. */
static void host_functions(void)
{
	CUdeviceptr p;
	unsigned char out[8];
	CUstream s;
	uint64_t t = now();
	OK(cuMemAlloc_v2(&p, 8));
	OK(cuStreamCreate(&s, 0));
	OK(launch(ticks20, s));
	OK(cuLaunchHostFunc(s, call, "written"));
	OK(cuMemcpyHtoDAsync_v2(p, source, 8, s));
	OK(cuMemcpyDtoHAsync_v2(out, p, 8, s));
	OK(cuStreamSynchronize(s));
	CHECK(!memcmp(out, "written", 8) && called >= t + 20 * TICK);
	OK(cuStreamAddCallback(s, call_back, "another", 0));
	OK(cuStreamSynchronize(s));
	CHECK(!memcmp(source, "another", 8));
	OK(cuStreamDestroy_v2(s));
	OK(cuMemFree_v2(p));
}

static void graphs(void)
{
	CUgraph g;
	CUgraphNode first, second, third;
	CUgraphExec e;
	size_t count = 0;
	CUDA_KERNEL_NODE_PARAMS_v2 k = { .func = ticks5, .gridDimX = 1, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 1,
					 .blockDimY = 1, .blockDimZ = 1 };
	CUDA_HOST_NODE_PARAMS h = { call, "in graph" };
	OK(cuGraphCreate(&g, 0));
	OK(cuGraphAddKernelNode_v2(&first, g, NULL, 0, &k));
	OK(cuGraphAddKernelNode_v2(&second, g, &first, 1, &k));
	OK(cuGraphAddHostNode(&third, g, &second, 1, &h));
	OK(cuGraphGetNodes(g, NULL, &count));
	CHECK(count == 3);
	OK(cuGraphInstantiateWithFlags(&e, g, 0));
	OK(cuGraphDestroy(g));
	uint64_t t = now();
	OK(cuGraphLaunch(e, NULL));
	OK(cuGraphLaunch(e, NULL));
	CHECK(now() - t < 15 * TICK);
	OK(cuCtxSynchronize());
	CHECK(took(t, 20 * TICK) && !memcmp(source, "in graph", 8));
	OK(cuGraphExecDestroy(e));
	GIVES(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(e, NULL));
}

/* A capture does nothing; its graph does all of it, from both streams, with memory of its own. */
static void captures(void)
{
	CUstream s, other;
	CUevent fork, join;
	CUgraph g;
	CUgraphExec e;
	CUdeviceptr p, fixed;
	CUstreamCaptureStatus status;
	uint64_t t = now(), used, reserved;
	size_t before = free_bytes();
	OK(cuMemAlloc_v2(&fixed, 4));
	OK(cuMemsetD32_v2(fixed, 0, 1));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&fork, 0));
	OK(cuEventCreate(&join, 0));
	GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(launch(ticks20, s));
	OK(cuMemAllocAsync(&p, MIB, s));
	OK(cuMemsetD32Async(p, 77, 1, s));
	OK(cuEventRecord(fork, s));
	OK(cuStreamWaitEvent(other, fork, 0));
	OK(cuStreamIsCapturing(other, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
	OK(cuMemcpyDtoDAsync_v2(fixed, p, 4, other));
	OK(cuEventRecord(join, other));
	OK(cuStreamWaitEvent(s, join, 0));
	OK(cuMemFreeAsync(p, s));
	GIVES(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, cuStreamEndCapture(other, &g));
	OK(cuStreamEndCapture(s, &g));
	OK(cuStreamIsCapturing(other, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_NONE && now() - t < 15 * TICK);
	CHECK(free_bytes() == before - 512);
	OK(cuGraphInstantiate_v2(&e, g, NULL, NULL, 0));
	OK(cuGraphDestroy(g));
	OK(cuGraphLaunch(e, s));
	OK(cuGraphLaunch(e, s));
	OK(cuStreamSynchronize(s));
	uint32_t word;
	OK(cuMemcpyDtoH_v2(&word, fixed, 4));
	CHECK(word == 77 && took(t, 40 * TICK));
	OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT, &reserved));
	OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &used));
	CHECK(reserved == 2 * MIB && used == 0);
	OK(cuDeviceGraphMemTrim(0));
	OK(cuGraphExecDestroy(e));
	OK(cuMemFree_v2(fixed));
	/* To wait within a capture spoils it. */
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(s));
	GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, launch(ticks5, s));
	GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
	CHECK(!g && free_bytes() == before);
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	OK(cuStreamDestroy_v2(s));
	OK(cuStreamDestroy_v2(other));
}

static void *in_thread(void *ctx)
{
	CUcontext c;
	GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
	OK(cuCtxSetCurrent(ctx));
	for (int i = 0; i < 200; i++) {
		CUdeviceptr p;
		CUstream s;
		OK(cuStreamCreate(&s, 0));
		OK(cuMemAllocAsync(&p, 100000, s));
		OK(cuMemsetD8Async(p, 1, 100000, s));
		OK(cuMemFreeAsync(p, s));
		OK(cuStreamSynchronize(s));
		OK(cuStreamDestroy_v2(s));
	}
	OK(cuCtxPopCurrent_v2(&c));
	CHECK(c == ctx);
	return NULL;
}

static void threads(CUcontext c)
{
	pthread_t t[4];
	size_t before = free_bytes();
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&t[i], NULL, in_thread, c));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(free_bytes() == before);
}

int main(void)
{
	CUcontext c = begin();
	ticks5 = kernel("spin_25ms");
	ticks20 = kernel("spin_100ms");
	streams();
	launches();
	events();
	host_functions();
	graphs();
	captures();
	threads(c);
	return 0;
}
