/* What the test programs share: checks that say where they failed, a context to work in, and other processes. */
#ifndef WEIR_SIM_TEST_H
#define WEIR_SIM_TEST_H

#define _GNU_SOURCE
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../abi/cuda.h"
#include "../../../abi/nvml.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)
#define GIVES(want, call) \
	do { \
		int got_ = (int)(call); \
		if (got_ != (int)(want)) { \
			fprintf(stderr, "%s:%d: %s gave %d; want %s\n", __FILE__, __LINE__, #call, got_, #want); \
			exit(1); \
		} \
	} while (0)
#define OK(call) GIVES(CUDA_SUCCESS, call)
#define FULL(call) GIVES(CUDA_ERROR_OUT_OF_MEMORY, call)

static inline CUcontext begin(void)
{
	CUcontext c;
	OK(cuInit(0));
	OK(cuDevicePrimaryCtxRetain(&c, 0));
	OK(cuCtxSetCurrent(c));
	return c;
}

static inline uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline size_t free_bytes(void)
{
	size_t n;
	OK(cuMemGetInfo_v2(&n, NULL));
	return n;
}

static inline CUfunction kernel(const char *name)
{
	CUmodule m;
	CUfunction f;
	OK(cuModuleLoadData(&m, "any"));
	OK(cuModuleGetFunction(&f, m, name));
	return f;
}

static inline CUresult launch(CUfunction f, CUstream s)
{
	return cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL);
}

static inline CUmemAllocationProp on_device(bool shareable)
{
	CUmemAllocationProp p = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
				  .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } };
	p.requestedHandleTypes = shareable ? CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR : CU_MEM_HANDLE_TYPE_NONE;
	return p;
}

/* This program again, with a word that says what it is to do. Its standard output can be read. */
struct child {
	pid_t pid;
	int out;
};

extern char **environ;

static inline struct child spawn(const char *role)
{
	int fds[2];
	char *args[] = { "again", (char *)role, NULL };
	struct child c;
	posix_spawn_file_actions_t actions;
	CHECK(!pipe(fds));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	posix_spawn_file_actions_addclose(&actions, fds[1]);
	CHECK(!posix_spawn(&c.pid, "/proc/self/exe", &actions, NULL, args, environ));
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	c.out = fds[0];
	return c;
}

static inline void finish(struct child c)
{
	int status;
	CHECK(waitpid(c.pid, &status, 0) == c.pid);
	close(c.out);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
