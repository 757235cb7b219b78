/*
 * Keeps known bytes in memory of all devices that it sees: buffers of many sizes,
 * one of them large, on one device after the other. It says "ready", and then does what it reads, a word a line:
 *
 *	check   says "right" where all bytes are as they were written
 *	write   writes other bytes
 *	free    frees every second buffer, and says "freed"
 *	fill    takes new ones in their place, and says "filled"
 *	take N  takes N MiB more on the first device, fills them, and says "taken"
 *	drop    frees them, and says "dropped"
 *	grow N  takes N MiB more, and launches kernels of 1 ms until it has them; says in how many microseconds that
 *	        was, how many kernels there were, and in how many microseconds these
 *	speed   says how many bytes this machine copies in a second, between pages that it has
 *	spin    launches a kernel of 10 ms on each device and waits for it, and says "spun"
 *	replay  plays a graph that was recorded in the beginning, and says "replayed" where it wrote what it was to
 *
 *	work N  launches kernels of 1 ms for N milliseconds, and says in how many microseconds the first
 *	        was done, how many there were, and in how many microseconds all
 *
 * usage: keep LARGE-MIB
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "abi/cuda.h"
#include "spin.h"

static void check(CUresult r, const char *what)
{
	if (r != CUDA_SUCCESS) {
		printf("%s: error %d\n", what, (int)r);
		exit(1);
	}
}
#define CHECK(call) check((call), #call)

#define MOST_DEVICES 4
static CUcontext contexts[MOST_DEVICES];
static CUfunction functions[MOST_DEVICES];
static int devices;

/* Makes the context current that a buffer is of. */
static int enter(int buffer)
{
	CHECK(cuCtxSetCurrent(contexts[buffer % devices]));
	return buffer % devices;
}

#define BUFFERS 8
static size_t sizes[BUFFERS] = {1000, 70 << 10, 0, 700 << 10, 2 << 20, 5000000, 512, 1 << 20};
static CUdeviceptr buffers[BUFFERS];
static uint64_t seed = 1;
static unsigned char *bytes; /* as large as the largest */

static uint64_t word(int buffer, size_t i)
{
	uint64_t x = (seed * 1000003 + (uint64_t)buffer) * 0x9e3779b97f4a7c15ull + i * 0xd6e8feb86659fd93ull;
	return x ^ (x >> 29);
}

static void write_one(int b)
{
	for (size_t i = 0; i < sizes[b] / 8; i++) {
		uint64_t w = word(b, i);
		memcpy(bytes + i * 8, &w, 8);
	}
	enter(b);
	CHECK(cuMemcpyHtoD_v2(buffers[b], bytes, sizes[b]));
}

static bool right(int b)
{
	memset(bytes, 0, sizes[b]);
	enter(b);
	CHECK(cuMemcpyDtoH_v2(bytes, buffers[b], sizes[b]));
	for (size_t i = 0; i < sizes[b] / 8; i++) {
		uint64_t w = word(b, i);
		if (memcmp(bytes + i * 8, &w, 8) != 0) {
			printf("buffer %d is wrong at %zu of %zu\n", b, i * 8, sizes[b]);
			return false;
		}
	}
	return true;
}

static CUdeviceptr more;
static size_t more_size;
static const unsigned int more_words = 0x5eed1e55;

static bool more_right(void)
{
	unsigned char *copy = malloc(more_size);
	bool right = copy != NULL;

	enter(0);
	CHECK(cuMemcpyDtoH_v2(copy, more, more_size));
	for (size_t i = 0; right && i < more_size; i += sizeof more_words)
		right = memcmp(copy + i, &more_words, sizeof more_words) == 0;
	free(copy);
	return right;
}

static void check_all(void)
{
	for (int b = 0; b < BUFFERS; b++)
		if (buffers[b] != 0 && !right(b))
			return;
	if (more != 0 && !more_right())
		puts("what was taken more is wrong");
	else
		puts("right");
}

static void write_all(void)
{
	seed++;
	for (int b = 0; b < BUFFERS; b++)
		if (buffers[b] != 0)
			write_one(b);
	puts("written");
}

static void free_half(void)
{
	for (int b = 0; b < BUFFERS; b += 2) {
		enter(b);
		CHECK(cuMemFree_v2(buffers[b]));
		buffers[b] = 0;
	}
	puts("freed");
}

static void fill(void)
{
	for (int b = 0; b < BUFFERS; b++)
		if (buffers[b] == 0) {
			enter(b);
			CHECK(cuMemAlloc_v2(&buffers[b], sizes[b]));
			write_one(b);
		}
	puts("filled");
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Memory that is copied as fast as this machine can: of large pages, where it has them. */
static unsigned char *host_memory(size_t n)
{
	const size_t page = 2 << 20;
	unsigned char *p = aligned_alloc(page, (n + page - 1) / page * page);

	madvise(p, n, MADV_HUGEPAGE);
	memset(p, 1, n);
	return p;
}

/* One copy: what a swap is measured by. */
static void speed(void)
{
	static unsigned char *to;
	size_t n = sizes[2];

	if (to == NULL)
		to = host_memory(n);
	double began = seconds();
	memcpy(to, bytes, n);
	double took = seconds() - began;
	bytes[0] ^= to[n - 1]; /* nothing is left out as unused */
	printf("%.0f\n", (double)n / took);
}

static void launch(int device, uint64_t ns)
{
	void *params[] = {&ns};
	CHECK(cuLaunchKernel(functions[device], 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
}

static void spin(void)
{
	for (int d = 0; d < devices; d++) {
		enter(d);
		launch(d, 10000000);
		CHECK(cuCtxSynchronize());
	}
	puts("spun");
}

/* A graph that fills one half of a buffer and copies it to the other: it has the addresses of when it was recorded. */
#define FILLED (64u << 10) /* two of these are a block of the size of one of the buffers: they take no chunk more */
#define FILLER 0x5eed1e55u
static CUdeviceptr played;
static CUgraphExec graph;
static CUstream stream;

static void record(void)
{
	CUgraph captured;

	CHECK(cuCtxSetCurrent(contexts[0]));
	CHECK(cuMemAlloc_v2(&played, 2 * FILLED));
	CHECK(cuStreamCreate(&stream, 1 /* it waits for no other */));
	CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CHECK(cuMemsetD32Async(played, FILLER, FILLED / 4, stream));
	CHECK(cuMemcpyDtoDAsync_v2(played + FILLED, played, FILLED, stream));
	CHECK(cuStreamEndCapture(stream, &captured));
	CHECK(cuGraphInstantiateWithFlags(&graph, captured, 0));
}

static void replay(void)
{
	static uint32_t seen[2 * FILLED / 4];

	CHECK(cuCtxSetCurrent(contexts[0]));
	CHECK(cuMemsetD32_v2(played, 0, 2 * FILLED / 4));
	CHECK(cuGraphLaunch(graph, stream));
	CHECK(cuStreamSynchronize(stream));
	CHECK(cuMemcpyDtoH_v2(seen, played, sizeof seen));
	for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
		if (seen[i] != FILLER) {
			printf("the graph left %08x at %zu\n", seen[i], i * 4);
			return;
		}
	puts("replayed");
}

/* How long it takes until the first is done, and what it gets from then on. */
static void work(double length)
{
	double began = seconds();
	long kernels = 1;

	enter(0);
	launch(0, 1000000);
	CHECK(cuCtxSynchronize());
	double first = seconds() - began;
	for (; seconds() - began < length; kernels++)
		launch(0, 1000000);
	CHECK(cuCtxSynchronize());
	printf("%.0f %ld %.0f\n", first * 1e6, kernels, (seconds() - began) * 1e6);
}

/* More, beside the buffers. */
static void take(size_t mib)
{
	enter(0);
	more_size = mib << 20;
	CHECK(cuMemAlloc_v2(&more, more_size));
	CHECK(cuMemsetD32_v2(more, more_words, more_size / 4));
	puts("taken");
}

static void drop(void)
{
	enter(0);
	CHECK(cuMemFree_v2(more));
	more = 0;
	puts("dropped");
}

static _Atomic bool has_more;

static void *take_more(void *arg)
{
	double *took = arg, began = seconds();

	enter(0);
	CHECK(cuMemAlloc_v2(&more, more_size));
	*took = seconds() - began;
	has_more = true;
	return NULL;
}

/* How long it waits for more memory, and what it has of the device meanwhile. */
static void grow(size_t mib)
{
	double took, began = seconds();
	long kernels = 0;
	pthread_t thread;

	enter(0);
	more_size = mib << 20;
	has_more = false;
	if (pthread_create(&thread, NULL, take_more, &took) != 0)
		exit(1);
	for (; !has_more; kernels++)
		launch(0, 1000000);
	CHECK(cuCtxSynchronize());
	double all = seconds() - began;
	pthread_join(thread, NULL);
	CHECK(cuMemsetD32_v2(more, more_words, more_size / 4));
	printf("%.0f %ld %.0f\n", took * 1e6, kernels, all * 1e6);
}

static void begin(void)
{
	CUmodule module;

	CHECK(cuInit(0));
	CHECK(cuDeviceGetCount(&devices));
	devices = devices < MOST_DEVICES ? devices : MOST_DEVICES;
	for (int d = 0; d < devices; d++) {
		CUdevice device;
		CHECK(cuDeviceGet(&device, d));
		CHECK(cuDevicePrimaryCtxRetain(&contexts[d], device));
		CHECK(cuCtxSetCurrent(contexts[d]));
		CHECK(cuModuleLoadData(&module, program));
		CHECK(cuModuleGetFunction(&functions[d], module, "spin"));
	}
}

int main(int argc, char **argv)
{
	char line[64];

	sizes[2] = (size_t)(argc > 1 ? atoi(argv[1]) : 40) << 20;
	bytes = host_memory(sizes[2] > sizes[5] ? sizes[2] : sizes[5]);
	begin();
	for (int b = 0; b < BUFFERS; b++) {
		enter(b);
		CHECK(cuMemAlloc_v2(&buffers[b], sizes[b]));
		write_one(b);
	}
	record();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "check") == 0)
			check_all();
		else if (strcmp(line, "write") == 0)
			write_all();
		else if (strcmp(line, "free") == 0)
			free_half();
		else if (strcmp(line, "fill") == 0)
			fill();
		else if (strcmp(line, "speed") == 0)
			speed();
		else if (strncmp(line, "work ", 5) == 0)
			work(atof(line + 5) / 1e3);
		else if (strncmp(line, "take ", 5) == 0)
			take((size_t)atol(line + 5));
		else if (strcmp(line, "drop") == 0)
			drop();
		else if (strncmp(line, "grow ", 5) == 0)
			grow((size_t)atol(line + 5));
		else if (strcmp(line, "spin") == 0)
			spin();
		else if (strcmp(line, "replay") == 0)
			replay();
		else
			printf("%s is no word that I know\n", line);
		fflush(stdout);
	}
	return 0;
}
