/*
 * Says what the driver's calls cost, as this program sees them: how long it
 * takes to begin, and to make a context; how much of the device a context has;
 * and medians of launching an empty kernel, of taking and freeing 2 MiB, and of
 * asking for free memory.
 *
 * usage: cost ROUNDS
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../../shim/abi/nvml.h"
#include "../../../shim/test/c/try.h"
#include "../../machine/program/spin.h"

/* Launches in a batch: fewer than any driver queues before it waits. */
#define BATCH 400

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *times, int n)
{
	qsort(times, (size_t)n, sizeof *times, by_size);
	return times[n / 2];
}

static unsigned long long used(void)
{
	nvmlDevice_t device;
	nvmlMemory_t memory;

	OK(nvmlInit_v2());
	OK(nvmlDeviceGetHandleByIndex_v2(0, &device));
	OK(nvmlDeviceGetMemoryInfo(device, &memory));
	OK(nvmlShutdown());
	return memory.used;
}

static double launch(CUfunction spin)
{
	uint64_t length = 0;
	void *params[] = {&length};
	uint64_t began = try_now();

	for (int i = 0; i < BATCH; i++)
		OK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
	double took = (double)(try_now() - began) / BATCH;
	OK(cuCtxSynchronize());
	return took;
}

static double take(void)
{
	CUdeviceptr p;
	uint64_t began = try_now();

	OK(cuMemAlloc_v2(&p, 2 * MIB));
	OK(cuMemFree_v2(p));
	return (double)(try_now() - began);
}

static double ask(void)
{
	size_t free_bytes, total;
	uint64_t began = try_now();

	OK(cuMemGetInfo_v2(&free_bytes, &total));
	return (double)(try_now() - began);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 200;
	double *times = calloc((size_t)rounds, sizeof *times);
	CUmodule module;
	CUfunction spin;

	EXPECT(rounds > 0 && times != NULL, "usage: cost ROUNDS");
	uint64_t began = try_now();
	OK(cuInit(0));
	printf("begins in %.1f ms\n", (double)(try_now() - began) / 1e6);
	unsigned long long before = used();
	began = try_now();
	try_begin(0);
	printf("a context in %.1f ms, %llu MiB\n", (double)(try_now() - began) / 1e6, (used() - before) >> 20);
	OK(cuModuleLoadData(&module, program));
	OK(cuModuleGetFunction(&spin, module, "spin"));
	launch(spin);
	for (int i = 0; i < rounds; i++)
		times[i] = launch(spin);
	printf("a launch: %.0f ns\n", median(times, rounds));
	for (int i = 0; i < rounds; i++)
		times[i] = take();
	printf("2 MiB taken and freed: %.1f us\n", median(times, rounds) / 1e3);
	for (int i = 0; i < rounds; i++)
		times[i] = ask();
	printf("asked for free memory: %.1f us\n", median(times, rounds) / 1e3);
	free(times);
	return 0;
}
