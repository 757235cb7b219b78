/*
 * A program that keeps a device busy with kernels of one length, and says how
 * much of the device's time it had: one line of JSON. It knows nothing of Weir.
 *
 * usage: burn KERNEL-MICROSECONDS SECONDS [graph|cooperative|ex] [pause MILLISECONDS EVERY-MILLISECONDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/cuda.h"
#include "spin.h"

#define GRAPH_KERNELS 10

static void check(CUresult r, const char *what)
{
	if (r != CUDA_SUCCESS) {
		fprintf(stderr, "%s: error %d\n", what, (int)r);
		exit(1);
	}
}
#define CHECK(call) check((call), #call)

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static CUfunction spin;
static uint64_t kernel;

static void launch(CUstream stream, const char *how)
{
	void *params[] = {&kernel};

	if (strcmp(how, "cooperative") == 0) {
		CHECK(cuLaunchCooperativeKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, params));
	} else if (strcmp(how, "ex") == 0) {
		CUlaunchConfig c = {.gridDimX = 1, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 1, .blockDimY = 1,
				    .blockDimZ = 1, .hStream = stream};
		CHECK(cuLaunchKernelEx(&c, spin, params, NULL));
	} else {
		CHECK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL));
	}
}

/* A graph of some kernels in a row, by capture. */
static CUgraphExec record(CUstream stream)
{
	CUgraph graph;
	CUgraphExec exec;

	CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (int i = 0; i < GRAPH_KERNELS; i++)
		launch(stream, "");
	CHECK(cuStreamEndCapture(stream, &graph));
	CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	return exec;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: burn KERNEL-MICROSECONDS SECONDS [graph|cooperative|ex]\n");
		return 2;
	}
	kernel = strtoull(argv[1], NULL, 10) * 1000;
	uint64_t length = (uint64_t)(atof(argv[2]) * 1e9);
	const char *how = argc > 3 ? argv[3] : "";
	/* Work in bursts: so long at a time, and then a rest. */
	uint64_t burst = argc > 5 ? strtoull(argv[4], NULL, 10) * 1000000 : 0;
	uint64_t rest = argc > 5 ? strtoull(argv[5], NULL, 10) * 1000000 : 0;
	CUdevice device;
	CUcontext context;
	CUmodule module;
	CUstream stream;
	CUgraphExec graph = NULL;
	uint64_t kernels = 0, longest = 0;

	CHECK(cuInit(0));
	CHECK(cuDeviceGet(&device, 0));
	CHECK(cuDevicePrimaryCtxRetain(&context, device));
	CHECK(cuCtxSetCurrent(context));
	CHECK(cuModuleLoadData(&module, program));
	CHECK(cuModuleGetFunction(&spin, module, "spin"));
	CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	if (strcmp(how, "graph") == 0)
		graph = record(stream);
	uint64_t begin = now(), woke = begin;
	while (now() - begin < length) {
		uint64_t before = now();
		if (graph != NULL)
			CHECK(cuGraphLaunch(graph, stream));
		else
			launch(stream, how);
		kernels += graph != NULL ? GRAPH_KERNELS : 1;
		if (burst == 0)
			continue;
		/* How long the first launch after a rest took to be done. */
		if (before == woke || woke == 0) {
			CHECK(cuStreamSynchronize(stream));
			uint64_t took = now() - before;
			longest = took > longest ? took : longest;
			woke = before;
			continue;
		}
		if (now() - woke > burst) {
			CHECK(cuStreamSynchronize(stream));
			struct timespec t = {(time_t)(rest / 1000000000u), (long)(rest % 1000000000u)};
			nanosleep(&t, NULL);
			woke = 0;
		}
	}
	CHECK(cuStreamSynchronize(stream));
	uint64_t took = now() - begin;
	printf("{\"kernels\": %" PRIu64 ", \"seconds\": %.3f, \"share\": %.3f, \"longestFirst\": %.3f}\n", kernels,
	       (double)took / 1e9, 100.0 * (double)(kernels * kernel) / (double)took, (double)longest / 1e6);
	return 0;
}
