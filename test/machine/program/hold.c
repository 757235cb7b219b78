/*
 * Takes memory of the device in pieces until there is none left, says how much
 * it has and what the driver says, and keeps it until its input ends.
 *
 * usage: hold PIECE-MIB
 */
#include <stdio.h>
#include <stdlib.h>

#include "abi/cuda.h"

static void check(CUresult r, const char *what)
{
	if (r != CUDA_SUCCESS) {
		printf("%s: error %d\n", what, (int)r);
		exit(1);
	}
}
#define CHECK(call) check((call), #call)

int main(int argc, char **argv)
{
	size_t piece = (size_t)(argc > 1 ? atoi(argv[1]) : 256) << 20, free_bytes, total;
	unsigned long long have = 0;
	CUdevice device;
	CUcontext context;
	CUdeviceptr p;
	CUresult r;

	CHECK(cuInit(0));
	CHECK(cuDeviceGet(&device, 0));
	CHECK(cuDevicePrimaryCtxRetain(&context, device));
	CHECK(cuCtxSetCurrent(context));
	while ((r = cuMemAlloc_v2(&p, piece)) == CUDA_SUCCESS)
		have += piece;
	CHECK(cuMemGetInfo_v2(&free_bytes, &total));
	printf("%llu MiB, then error %d; %zu of %zu MiB free\n", have >> 20, (int)r, free_bytes >> 20, total >> 20);
	fflush(stdout);
	while (getchar() != EOF)
		;
	r = cuMemAlloc_v2(&p, piece);
	printf("in the end error %d\n", (int)r);
	return 0;
}
