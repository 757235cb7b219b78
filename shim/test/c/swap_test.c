/*
 * Memory that can be swapped. Usage:
 *   swap_test pointers     what a program is told of it is what it is told of any
 *   swap_test blocks LIMIT small ones share chunks: as many fit as there is room for
 *   swap_test forsaken LIMIT  captures that nobody ends keep nothing from being freed
 *   swap_test twice        two copies of the library in one process; goes on when a line is read
 *   swap_test wait LIMIT   while one thread waits for what was promised to it, others do what they like
 *   swap_test work SECONDS threads take, write, read, free and launch, whatever is moved meanwhile
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "try.h"

#define CHUNK (2u << 20)

static void pointers(void)
{
	CUdeviceptr p, q, base;
	CUcontext ctx, of;
	size_t bytes, pitch;
	unsigned int type, ordinal;
	unsigned long long id, other;
	CUmemGenericAllocationHandle handle;

	OK(cuCtxGetCurrent(&ctx));
	OK(cuMemAlloc_v2(&p, 3 * CHUNK + 5));
	OK(cuMemAlloc_v2(&q, 1000));
	EXPECT(p % CHUNK == 0 && q % 512 == 0, "they begin at %llx and %llx", p, q);
	OK(cuMemGetAddressRange_v2(&base, &bytes, p + CHUNK + 7));
	EXPECT(base == p && bytes == 3 * CHUNK + 5, "it is %zu bytes at %llx", bytes, base);
	OK(cuMemGetAddressRange_v2(&base, &bytes, q + 999));
	EXPECT(base == q && bytes == 1000, "it is %zu bytes at %llx", bytes, base);
	OK(cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_CONTEXT, p + 2 * CHUNK));
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, q));
	OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, q));
	EXPECT(of == ctx && type == CU_MEMORYTYPE_DEVICE && ordinal == 0, "memory of this context's device");
	CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_BUFFER_ID, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR};
	void *values[] = {&id, &base};
	OK(cuPointerGetAttributes(2, which, values, p + 1));
	EXPECT(base == p, "it begins at %llx", base);
	OK(cuPointerGetAttribute(&other, CU_POINTER_ATTRIBUTE_BUFFER_ID, q));
	EXPECT(id != other, "they are two");
	EXPECT(cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)p) == CUDA_ERROR_INVALID_VALUE, "it has no handle");
	EXPECT(cuMemFree_v2(p + CHUNK) == CUDA_ERROR_INVALID_VALUE, "it does not begin there");
	EXPECT(cuMemFree_v2(q + 1) == CUDA_ERROR_INVALID_VALUE, "nor that there");
	OK(cuMemFree_v2(p));
	OK(cuMemFree_v2(q));
	EXPECT(cuMemFree_v2(q) != CUDA_SUCCESS, "it was freed");
	OK(cuMemAllocPitch_v2(&p, &pitch, 1000, 100, 4));
	EXPECT(pitch % 512 == 0 && pitch >= 1000, "rows have %zu bytes", pitch);
	OK(cuMemFreeAsync(p, NULL));
}

/* Of blocks of a size, all that fit a chunk fit, and they do not overlap. */
static void blocks(uint64_t limit)
{
	enum { MOST = 40000 };
	static CUdeviceptr had[MOST];
	uint32_t n = 0, back;

	while (n < MOST && cuMemAlloc_v2(&had[n], 3000) == CUDA_SUCCESS)
		n++;
	EXPECT(n == limit / 4096, "%u blocks of 3000 bytes", n);
	for (uint32_t i = 0; i < n; i++)
		OK(cuMemsetD32_v2(had[i], i, 750));
	for (uint32_t i = 0; i < n; i++) {
		OK(cuMemcpyDtoH_v2(&back, had[i] + 2996, 4));
		EXPECT(back == i, "block %u has %u at its end", i, back);
		OK(cuMemFree_v2(had[i]));
	}
	OK(cuMemAlloc_v2(&had[0], limit));
	OK(cuMemFree_v2(had[0]));
}

/* Captures that end with their stream or their context end: what is freed is free again. */
static void forsaken(uint64_t limit)
{
	CUcontext ctx, popped;
	CUdeviceptr p;
	CUstream s;

	OK(cuStreamCreate(&s, 1));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuStreamDestroy_v2(s));
	OK(cuCtxCreate_v2(&ctx, 0, 0));
	OK(cuStreamCreate(&s, 1));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuStreamBeginCapture_v2(CU_STREAM_PER_THREAD, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuCtxPopCurrent_v2(&popped));
	OK(cuCtxDestroy_v2(ctx));
	for (int i = 0; i < 2; i++) {
		OK(cuMemAlloc_v2(&p, limit));
		OK(cuMemFree_v2(p));
	}
}

/* Two copies of the library in one process are two of its container: neither has what the other has. Both move when a
 * line is read. */
static void twice(void)
{
	void *other = dlmopen(LM_ID_NEWLM, "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	__typeof__(cuInit) *init;
	__typeof__(cuDevicePrimaryCtxRetain) *retain;
	__typeof__(cuCtxSetCurrent) *set;
	__typeof__(cuMemAlloc_v2) *alloc;
	__typeof__(cuMemsetD32_v2) *fill;
	CUdeviceptr mine, its;
	CUcontext ctx;
	uint32_t back;

	EXPECT(other != NULL, "%s", dlerror());
	*(void **)&init = dlsym(other, "cuInit");
	*(void **)&retain = dlsym(other, "cuDevicePrimaryCtxRetain");
	*(void **)&set = dlsym(other, "cuCtxSetCurrent");
	*(void **)&alloc = dlsym(other, "cuMemAlloc_v2");
	*(void **)&fill = dlsym(other, "cuMemsetD32_v2");
	OK(cuMemAlloc_v2(&mine, 2 * CHUNK));
	OK(cuMemsetD32_v2(mine, 1, CHUNK / 2));
	OK(init(0));
	OK(retain(&ctx, 0));
	OK(set(ctx));
	OK(alloc(&its, 2 * CHUNK));
	OK(fill(its, 2, CHUNK / 2));
	puts("both");
	fflush(stdout);
	EXPECT(getchar() == '\n', "a line");
	OK(cuMemcpyDtoH_v2(&back, mine + CHUNK, 4));
	EXPECT(back == 1, "the first has what the %uth wrote", back);
}

static CUcontext context;
static double until;
static _Atomic long writes, launches;

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Buffers of its own, with what it has written last in each. */
static void *work(void *arg)
{
	enum { MINE = 5 };
	unsigned int random = (unsigned int)(uintptr_t)arg, value[MINE] = {0}, back[2];
	CUdeviceptr at[MINE] = {0};
	size_t size[MINE] = {0};

	OK(cuCtxSetCurrent(context));
	while (seconds() < until) {
		int i = rand_r(&random) % MINE;
		if (at[i] == 0) {
			size[i] = rand_r(&random) % 3 ? 4000 : (size_t)(1 + rand_r(&random) % 3) * CHUNK - 512;
			CUresult r = cuMemAlloc_v2(&at[i], size[i]);
			EXPECT(r == CUDA_SUCCESS || r == CUDA_ERROR_OUT_OF_MEMORY, "taking it is %d", r);
			if (r != CUDA_SUCCESS) {
				at[i] = 0;
				continue;
			}
			value[i] = rand_r(&random);
			OK(cuMemsetD32_v2(at[i], value[i], size[i] / 4));
			writes++;
			continue;
		}
		OK(cuMemcpyDtoH_v2(&back[0], at[i], 4));
		OK(cuMemcpyDtoH_v2(&back[1], at[i] + size[i] - 4, 4));
		EXPECT(back[0] == value[i] && back[1] == value[i], "%x and %x, not %x", back[0], back[1], value[i]);
		if (rand_r(&random) % 2 == 0) {
			OK(cuMemFree_v2(at[i]));
			at[i] = 0;
		}
	}
	for (int i = 0; i < MINE; i++)
		if (at[i] != 0)
			OK(cuMemFree_v2(at[i]));
	return NULL;
}

/* Adds one to each word, many times: each launch has found the memory there. */
static void *add(void *arg)
{
	CUdeviceptr at;
	CUmodule module;
	CUfunction f;
	uint64_t words = 1000, sum = 0;
	uint32_t one = 1, back;

	(void)arg;
	OK(cuCtxSetCurrent(context));
	OK(cuModuleLoadData(&module, ""));
	OK(cuModuleGetFunction(&f, module, "add_u32"));
	OK(cuMemAlloc_v2(&at, words * 4));
	OK(cuMemsetD32_v2(at, 0, words));
	void *params[] = {&at, &words, &one};
	for (; seconds() < until; sum++)
		OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoH_v2(&back, at + 3996, 4));
	EXPECT(back == (uint32_t)sum, "%u added, not %u", back, (uint32_t)sum);
	OK(cuMemFree_v2(at));
	launches += (long)sum;
	return NULL;
}

static _Atomic bool got;
static _Atomic int signals;
static uint64_t wanted;

static void *want(void *arg)
{
	CUdeviceptr *at = arg;

	OK(cuCtxSetCurrent(context));
	OK(cuMemAlloc_v2(at, wanted));
	got = true;
	return NULL;
}

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

/* What was promised is given back half a second after it is asked for. */
static void wait_for_it(uint64_t limit)
{
	CUdeviceptr small, large, more;
	CUmodule module;
	CUfunction f;
	pthread_t thread, other;
	uint64_t words = 1000;
	uint32_t one = 1, back;
	void *params[] = {&small, &words, &one};

	signal(SIGUSR2, on_signal);
	OK(cuModuleLoadData(&module, ""));
	OK(cuModuleGetFunction(&f, module, "add_u32"));
	OK(cuMemAlloc_v2(&small, 4000));
	OK(cuMemAlloc_v2(&large, CHUNK));
	OK(cuMemsetD32_v2(small, 0, words));
	usleep(50000); /* the agent sees that nobody waits any more */
	wanted = limit / 2;
	EXPECT(pthread_create(&thread, NULL, want, &more) == 0, "a thread");
	usleep(100000);
	EXPECT(pthread_kill(thread, SIGUSR2) == 0, "a signal");
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoH_v2(&back, small, 4));
	OK(cuMemFree_v2(large));
	EXPECT(back == 1 && !got, "%u, and it %s its memory", back, got ? "has" : "waits for");
	for (int i = 0; i < 100 && signals == 0; i++)
		usleep(1000);
	EXPECT(signals == 1 && !got, "%d signals", signals);
	/* Two wait. */
	wanted = limit / 4;
	EXPECT(pthread_create(&other, NULL, want, &large) == 0, "a thread");
	pthread_join(thread, NULL);
	pthread_join(other, NULL);
	EXPECT(cuMemAlloc_v2(&small, limit / 2) == CUDA_ERROR_OUT_OF_MEMORY, "nobody has more than was promised");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	context = try_begin(0);
	if (strcmp(what, "pointers") == 0) {
		pointers();
	} else if (strcmp(what, "blocks") == 0) {
		blocks(strtoull(argv[2], NULL, 10));
	} else if (strcmp(what, "twice") == 0) {
		twice();
	} else if (strcmp(what, "forsaken") == 0) {
		forsaken(strtoull(argv[2], NULL, 10));
	} else if (strcmp(what, "wait") == 0) {
		wait_for_it(strtoull(argv[2], NULL, 10));
	} else {
		pthread_t threads[4];
		until = seconds() + atof(argv[2]);
		for (uintptr_t i = 0; i < 4; i++)
			EXPECT(pthread_create(&threads[i], NULL, i == 0 ? add : work, (void *)i) == 0, "a thread");
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		printf("%ld buffers, %ld launches\n", (long)writes, (long)launches);
	}
	return 0;
}
