/*
 * What a container of the test does with its part of a GPU. It takes memory
 * until there is none left, keeps half of what it had, writes something into
 * some of that, and then keeps the device busy. Each second it says in a line
 * of JSON how that goes, and whether what it wrote is still there.
 *
 * usage: tenant PIECE-MIB KERNEL-MICROSECONDS SEED
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/cuda.h"

#define PIECES 4096
#define DATA (16u << 20)

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

/* Takes all memory that there is and gives half of it back. */
static size_t fill(CUdeviceptr *pieces, size_t piece)
{
	size_t count = 0;
	CUresult r;

	while (count < PIECES && (r = cuMemAlloc_v2(&pieces[count], piece)) == CUDA_SUCCESS)
		count++;
	if (count == PIECES || r != CUDA_ERROR_OUT_OF_MEMORY)
		check(r, "taking all memory");
	for (size_t i = count / 2; i < count; i++)
		CHECK(cuMemFree_v2(pieces[i]));
	return count;
}

static void scribble(uint8_t *data, uint64_t seed)
{
	for (size_t i = 0; i < DATA; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		data[i] = (uint8_t)(seed >> 56);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: tenant PIECE-MIB KERNEL-MICROSECONDS SEED\n");
		return 2;
	}
	static CUdeviceptr pieces[PIECES];
	size_t piece = strtoull(argv[1], NULL, 10) << 20, free_bytes, total;
	uint64_t kernel = strtoull(argv[2], NULL, 10) * 1000;
	uint8_t *wrote = malloc(DATA), *read = malloc(DATA);
	void *params[] = {&kernel};
	CUdevice device;
	CUcontext context;
	CUmodule module;
	CUfunction spin;
	CUstream stream;

	CHECK(cuInit(0));
	CHECK(cuDeviceGet(&device, 0));
	CHECK(cuDevicePrimaryCtxRetain(&context, device));
	CHECK(cuCtxSetCurrent(context));
	CHECK(cuModuleLoadData(&module, "spin"));
	CHECK(cuModuleGetFunction(&spin, module, "spin"));
	CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	size_t had = fill(pieces, piece);
	CHECK(cuMemGetInfo_v2(&free_bytes, &total));
	scribble(wrote, strtoull(argv[3], NULL, 10));
	CHECK(cuMemcpyHtoD_v2(pieces[0], wrote, DATA));
	for (;;) {
		uint64_t begin = now(), kernels = 0;
		while (now() - begin < 1000000000u) {
			CHECK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL));
			kernels++;
		}
		CHECK(cuStreamSynchronize(stream));
		uint64_t took = now() - begin;
		CHECK(cuMemcpyDtoH_v2(read, pieces[0], DATA));
		printf("{\"had\": %zu, \"total\": %zu, \"share\": %.1f, \"intact\": %s}\n", had * (piece >> 20), total >> 20,
		       100.0 * (double)(kernels * kernel) / (double)took, memcmp(wrote, read, DATA) == 0 ? "true" : "false");
		fflush(stdout);
	}
}
