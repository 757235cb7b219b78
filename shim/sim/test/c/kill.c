/* A process that is killed at any instant leaves its memory to others at once, and keeps nobody waiting. */
#include "test.h"

#include <signal.h>
#include <sys/mman.h>

/* Does all kinds of things, without an end. */
static int victim(void)
{
	begin();
	CUfunction f = kernel("spin_1ms");
	CUstream s;
	CUdeviceptr p[8] = { 0 };
	OK(cuStreamCreate(&s, 0));
	CHECK(write(1, "go", 2) == 2);
	for (unsigned i = 0;; i++) {
		CUdeviceptr *q = &p[i % 8];
		CUmemAllocationProp prop = on_device(i % 3 == 0);
		CUmemGenericAllocationHandle h;
		CUipcMemHandle ipc;
		if (*q)
			cuMemFree_v2(*q);
		*q = 0;
		cuMemAlloc_v2(q, (i * 37 % 100 + 1) * MIB);
		if (i % 16 == 0 && *q)
			cuIpcGetMemHandle(&ipc, *q);
		if (!cuMemCreate(&h, 2 * MIB, &prop, 0) && i % 2)
			cuMemRelease(h);
		if (i % 4 == 0)
			launch(f, s);
	}
}

/* Waits for what another does, for ten seconds at most: nobody may be wedged. */
static void alarmed(void)
{
	alarm(10);
}

static void one(unsigned microseconds)
{
	struct child c = spawn("victim");
	char go[2];
	int status;
	CHECK(read(c.out, go, 2) == 2);
	usleep(microseconds);
	CHECK(!kill(c.pid, SIGKILL));
	CHECK(waitpid(c.pid, &status, 0) == c.pid && WIFSIGNALED(status));
	close(c.out);
	alarmed();
	CHECK(free_bytes() == GIB);
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, GIB));
	OK(cuMemFree_v2(p));
}

static int queuer(void)
{
	begin();
	CUfunction f = kernel("spin_10ms");
	for (int i = 0; i < 1000; i++)
		OK(launch(f, NULL));
	CHECK(write(1, "go", 2) == 2);
	pause();
	return 0;
}

/* What a dead process had queued is dropped but for what had begun. */
static void queue(void)
{
	struct child c = spawn("queuer");
	CUfunction f = kernel("spin_1ms");
	char go[2];
	int status;
	CHECK(read(c.out, go, 2) == 2);
	kill(c.pid, SIGKILL);
	CHECK(waitpid(c.pid, &status, 0) == c.pid);
	close(c.out);
	uint64_t t = now();
	OK(launch(f, NULL));
	OK(cuCtxSynchronize());
	CHECK(now() - t < 200000000); /* of ten seconds */
}

/* The child of a fork has nothing of the driver, and does not keep its parent's memory. */
static int forker(void)
{
	CUdeviceptr p;
	begin();
	OK(cuMemAlloc_v2(&p, GIB / 2));
	pid_t pid = fork();
	if (!pid) {
		GIVES(CUDA_ERROR_NOT_INITIALIZED, cuMemFree_v2(p));
		GIVES(CUDA_ERROR_NOT_INITIALIZED, cuInit(0));
		CHECK(write(1, &(pid_t){ getpid() }, sizeof pid) == sizeof pid);
		sleep(20);
		_exit(0);
	}
	_exit(0);
}

static void forks(void)
{
	struct child c = spawn("forker");
	pid_t grandchild;
	CHECK(read(c.out, &grandchild, sizeof grandchild) == sizeof grandchild);
	finish(c);
	CHECK(free_bytes() == GIB);
	kill(grandchild, SIGKILL);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return !strcmp(argv[1], "victim") ? victim() : !strcmp(argv[1], "queuer") ? queuer() : forker();
	const char *times = getenv("KILLS");
	int n = times ? atoi(times) : 300;
	begin();
	CHECK(free_bytes() == GIB);
	srand(4);
	for (int i = 0; i < n; i++)
		one((unsigned)rand() % 5000);
	queue();
	forks();
	return 0;
}
