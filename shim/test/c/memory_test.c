/*
 * The limit of memory holds exactly. Usage:
 *   memory_test limit FAMILY LIMIT     the last that fits is given, the next refused, and all views agree
 *   memory_test random OPERATIONS      random takings of all families leave nothing behind
 *   memory_test share LIMIT            two processes have one limit
 *   memory_test orphan LIMIT           what a process had is free when it ends, though a child of it lives on
 *   memory_test return LIMIT           what a process has counts at an agent that comes back with twice the limit;
 *                                      a line on stdin says that it has gone
 *   memory_test context LIMIT          what a context had is free when it is destroyed
 *   memory_test pools LIMIT            the limit holds in the last of many pools
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "families.h"

#define CHUNK (8 * MIB)
#define MOST 64

static void expect_free(uint64_t want)
{
	uint64_t free, total;
	views(&free, &total);
	EXPECT(free == want, "%llu free, not %llu", (unsigned long long)free, (unsigned long long)want);
}

static void limit(const struct family *f, uint64_t limit)
{
	uint64_t had[MOST][2], rest[2], none[2];
	int n = 0;

	expect_free(limit);
	for (; limit - (uint64_t)n * CHUNK >= CHUNK; n++) {
		OK(f->take(CHUNK, had[n]));
		expect_free(limit - (uint64_t)(n + 1) * CHUNK);
	}
	uint64_t left = limit - (uint64_t)n * CHUNK;
	EXPECT(f->take(CHUNK, none) == CUDA_ERROR_OUT_OF_MEMORY, "a chunk does not fit");
	EXPECT(left > 0 && left % f->grain == 0, "the test has something left to take");
	OK(f->take(left, rest));
	expect_free(0);
	EXPECT(f->take(f->grain, none) == CUDA_ERROR_OUT_OF_MEMORY, "nothing more fits");
	expect_free(0);
	f->give(left, rest);
	for (int i = 0; i < n; i++)
		f->give(CHUNK, had[i]);
	if (f->flush != NULL)
		f->flush();
	expect_free(limit);
	OK(f->take(limit / CHUNK * CHUNK, rest));
	f->give(limit / CHUNK * CHUNK, rest);
	if (f->flush != NULL)
		f->flush();
	expect_free(limit);
}

static void random_operations(long operations)
{
	struct {
		const struct family *f;
		uint64_t bytes, had[2];
	} holds[32] = {0};
	uint64_t free, total, refused = 0;

	views(&free, &total);
	uint64_t all = free;
	srand(1);
	for (long i = 0; i < operations; i++) {
		int k = rand() % 32;
		if (holds[k].f != NULL) {
			holds[k].f->give(holds[k].bytes, holds[k].had);
			holds[k].f = NULL;
			continue;
		}
		const struct family *f = &families[rand() % family_count];
		uint64_t bytes = f->grain * (1 + (uint64_t)rand() % 3);
		CUresult r = f->take(bytes, holds[k].had);
		EXPECT(r == CUDA_SUCCESS || r == CUDA_ERROR_OUT_OF_MEMORY, "%s is %d", f->name, r);
		refused += r != CUDA_SUCCESS;
		if (r == CUDA_SUCCESS) {
			holds[k].f = f;
			holds[k].bytes = bytes;
		}
	}
	for (int k = 0; k < 32; k++)
		if (holds[k].f != NULL)
			holds[k].f->give(holds[k].bytes, holds[k].had);
	for (int k = 0; k < family_count; k++)
		if (families[k].flush != NULL)
			families[k].flush();
	expect_free(all);
	printf("%ld operations, %llu refused, nothing left\n", operations, (unsigned long long)refused);
}

/* Takes all, as soon as another has been seen to end. */
static void take_soon(uint64_t limit)
{
	CUdeviceptr p;
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;
	for (int i = 0; i < 100 && r != CUDA_SUCCESS; i++) {
		usleep(10000);
		r = cuMemAlloc_v2(&p, limit);
	}
	OK(r);
}

/* A second process, begun before this one has a context, takes half; this one can have the other half. */
static void share(uint64_t limit)
{
	int down[2], up[2];
	char c = 0;
	CUdeviceptr p, q;

	EXPECT(pipe(down) == 0 && pipe(up) == 0, "pipes");
	pid_t child = fork();
	if (child == 0) {
		try_begin(0);
		OK(cuMemAlloc_v2(&p, limit / 2));
		EXPECT(write(up[1], &c, 1) == 1 && read(down[0], &c, 1) == 1, "the parent");
		expect_free(0);
		EXPECT(cuMemAlloc_v2(&q, 1) == CUDA_ERROR_OUT_OF_MEMORY, "the parent has the rest");
		_exit(0); /* with all that it has */
	}
	try_begin(0);
	EXPECT(read(up[0], &c, 1) == 1, "the child");
	expect_free(limit / 2);
	EXPECT(cuMemAlloc_v2(&p, limit / 2 + 1) == CUDA_ERROR_OUT_OF_MEMORY, "the child has the rest");
	OK(cuMemAlloc_v2(&p, limit / 2));
	int status;
	EXPECT(write(down[1], &c, 1) == 1 && waitpid(child, &status, 0) == child && status == 0, "the child ends well");
	take_soon(limit / 2);
}

static void orphan(uint64_t limit)
{
	CUdeviceptr p;
	int status;
	pid_t parent = fork();

	if (parent == 0) {
		(void)cuMemFree_v2(0); /* hello, and nothing at the driver */
		if (fork() == 0) {
			close(STDOUT_FILENO);
			close(STDERR_FILENO);
			sleep(5);
			_exit(0);
		}
		try_begin(0);
		OK(cuMemAlloc_v2(&p, limit));
		_exit(0);
	}
	EXPECT(waitpid(parent, &status, 0) == parent && status == 0, "the parent ends well");
	try_begin(0);
	take_soon(limit);
}

static void come_back(uint64_t limit)
{
	CUdeviceptr p, q;
	char line[64];
	uint64_t free = 0, total = 0;

	OK(cuMemAlloc_v2(&p, limit / 2));
	EXPECT(fgets(line, sizeof line, stdin) != NULL, "a line");
	/* Nobody is there: the limit is what it was. */
	OK(cuMemAlloc_v2(&q, limit / 2));
	EXPECT(cuMemAlloc_v2(&q, 1) == CUDA_ERROR_OUT_OF_MEMORY, "the limit stands without an agent");
	for (int i = 0; i < 300 && total != 2 * limit; i++) {
		size_t driver_free, driver_total;
		usleep(10000);
		OK(cuMemGetInfo_v2(&driver_free, &driver_total));
		total = driver_total;
		free = driver_free;
	}
	EXPECT(total == 2 * limit && free == limit, "%llu free", (unsigned long long)free);
	OK(cuMemAlloc_v2(&p, limit));
	EXPECT(cuMemAlloc_v2(&q, 1) == CUDA_ERROR_OUT_OF_MEMORY, "the new limit");
}

static void context(uint64_t limit)
{
	CUcontext own, popped;
	CUdeviceptr p;

	OK(cuCtxCreate_v2(&own, 0, 0));
	OK(cuMemAlloc_v2(&p, limit / 2));
	OK(cuMemAllocManaged(&p, limit / 4, CU_MEM_ATTACH_GLOBAL));
	OK(cuCtxPopCurrent_v2(&popped));
	OK(cuMemAlloc_v2(&p, limit / 4));
	expect_free(0);
	OK(cuCtxDestroy_v2(own));
	expect_free(limit - limit / 4);
	OK(cuDevicePrimaryCtxReset_v2(0));
	try_begin(0);
	expect_free(limit);
}

/* A pool is charged however many there are. */
static void pools(uint64_t limit)
{
	CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
	CUmemoryPool pool;
	CUdeviceptr p;
	uint64_t pieces = 0;

	for (int i = 0; i < 300; i++)
		OK(cuMemPoolCreate(&pool, &props));
	while (pieces <= limit / (2 * MIB) && cuMemAllocFromPoolAsync(&p, 2 * MIB, pool, NULL) == CUDA_SUCCESS)
		pieces++;
	EXPECT(pieces == limit / (2 * MIB), "%llu pieces", (unsigned long long)pieces);
}

int main(int argc, char **argv)
{
	EXPECT(argc >= 3, "usage: memory_test limit FAMILY LIMIT | random OPERATIONS | share LIMIT | context LIMIT | pools LIMIT");
	uint64_t last = strtoull(argv[argc - 1], NULL, 0);
	if (strcmp(argv[1], "share") == 0 || strcmp(argv[1], "orphan") == 0) {
		(argv[1][0] == 's' ? share : orphan)(last);
		return 0;
	}
	try_begin(0);
	if (strcmp(argv[1], "limit") == 0)
		limit(family(argv[2]), last);
	else if (strcmp(argv[1], "random") == 0)
		random_operations((long)last);
	else if (strcmp(argv[1], "return") == 0)
		come_back(last);
	else if (strcmp(argv[1], "pools") == 0)
		pools(last);
	else
		context(last);
	return 0;
}
