/* What the programs that try the shim have in common: expectations that end the program when they do not hold. */
#ifndef WEIR_TEST_TRY_H
#define WEIR_TEST_TRY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../abi/cuda.h"

#define MIB (1ull << 20)

#define EXPECT(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			exit(1); \
		} \
	} while (0)

#define OK(call) \
	do { \
		int ok_result = (int)(call); \
		EXPECT(ok_result == CUDA_SUCCESS, "%s is %d", #call, ok_result); \
	} while (0)

static inline uint64_t try_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* The primary context of a device, current in this thread. */
static inline CUcontext try_begin(int ordinal)
{
	CUdevice device;
	CUcontext ctx;

	OK(cuInit(0));
	OK(cuDeviceGet(&device, ordinal));
	OK(cuDevicePrimaryCtxRetain(&ctx, device));
	OK(cuCtxSetCurrent(ctx));
	return ctx;
}

#endif
