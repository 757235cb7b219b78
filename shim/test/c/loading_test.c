/*
 * The limit is seen however the driver is found, and however the process came to
 * be. Usage: loading_test WAY LIMIT, WAY being linked, dlopen, deepbind, dlmopen,
 * fork, clone, vfork, exec, execheld or busyfork. The program is linked with the
 * shadow for `linked` only as far as its own calls are; the others find it anew.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "try.h"

static uint64_t limit;

struct found {
	__typeof__(cuInit) *init;
	__typeof__(cuDevicePrimaryCtxRetain) *retain;
	__typeof__(cuCtxSetCurrent) *set;
	__typeof__(cuMemGetInfo_v2) *info;
	__typeof__(cuMemAlloc_v2) *alloc;
};

static void check(const struct found *f)
{
	CUcontext ctx;
	size_t free, total;
	CUdeviceptr p;

	OK(f->init(0));
	OK(f->retain(&ctx, 0));
	OK(f->set(ctx));
	OK(f->info(&free, &total));
	EXPECT(total == limit && free == limit, "%zu of %zu are free", free, total);
	EXPECT(f->alloc(&p, limit + 1) == CUDA_ERROR_OUT_OF_MEMORY, "more than the limit");
	OK(f->alloc(&p, limit));
	EXPECT(f->alloc(&p, 1) == CUDA_ERROR_OUT_OF_MEMORY, "nothing more fits");
}

static void linked(void)
{
	check(&(struct found){cuInit, cuDevicePrimaryCtxRetain, cuCtxSetCurrent, cuMemGetInfo_v2, cuMemAlloc_v2});
}

static void by_handle(void *handle)
{
	struct found f;
	EXPECT(handle != NULL, "%s", dlerror());
	*(void **)&f.init = dlsym(handle, "cuInit");
	*(void **)&f.retain = dlsym(handle, "cuDevicePrimaryCtxRetain");
	*(void **)&f.set = dlsym(handle, "cuCtxSetCurrent");
	*(void **)&f.info = dlsym(handle, "cuMemGetInfo_v2");
	*(void **)&f.alloc = dlsym(handle, "cuMemAlloc_v2");
	check(&f);
}

static void in_child(void (*then)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		then();
		_exit(0);
	}
	EXPECT(waitpid(child, &status, 0) == child && status == 0, "the child's status is %d", status);
}

/* A parent that has said hello, but has not begun with the driver, forks; both are held. */
static void forked(void)
{
	(void)cuMemFree_v2(0);
	in_child(linked);
	usleep(100000);
	linked();
}

/* A child of which the C library knows nothing: no handler runs in it. */
static void cloned(void)
{
	int status;
	(void)cuMemFree_v2(0);
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		linked();
		_exit(0);
	}
	EXPECT(waitpid(child, &status, 0) == child && status == 0, "the child's status is %d", status);
	usleep(100000);
	linked();
}

static void executed(char **argv)
{
	execl(argv[0], argv[0], "linked", argv[2], (char *)NULL);
}

/* A child in its parent's memory, until it is another program. */
static void vforked(char **argv)
{
	int status;
	try_begin(0);
	pid_t child = vfork();
	if (child == 0) {
		execl(argv[0], argv[0], "linked", argv[2], (char *)NULL);
		_exit(1);
	}
	EXPECT(waitpid(child, &status, 0) == child && status == 0, "the child's status is %d", status);
	usleep(100000);
	linked();
}

static _Atomic bool enough;

/* Takes, gives back and launches. */
static void *busy(void *ctx)
{
	CUmodule module;
	CUfunction f;
	CUdeviceptr p;

	OK(cuCtxSetCurrent(ctx));
	OK(cuModuleLoadData(&module, "an image"));
	OK(cuModuleGetFunction(&f, module, "spin_10us"));
	while (!atomic_load(&enough)) {
		OK(cuMemAlloc_v2(&p, MIB));
		OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
		OK(cuMemFree_v2(p));
	}
	return NULL;
}

/* Children come while other threads are at the driver, which a child cannot use: its calls end, well or not. What
 * this process has is as it was. */
static void busy_fork(void)
{
	CUcontext ctx = try_begin(0);
	pthread_t threads[3];
	size_t free, total;

	for (int i = 0; i < 3; i++)
		EXPECT(pthread_create(&threads[i], NULL, busy, ctx) == 0, "a thread");
	for (int i = 0; i < 30; i++) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			alarm(20); /* who waits for a lock of a thread that is not here waits for ever */
			CUdeviceptr p;
			(void)cuMemFree_v2(0);
			(void)cuInit(0);
			(void)cuMemAlloc_v2(&p, MIB);
			_exit(0);
		}
		EXPECT(waitpid(child, &status, 0) == child && status == 0, "child %d ends with %d", i, status);
	}
	atomic_store(&enough, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	OK(cuCtxSynchronize());
	usleep(100000); /* the last child has just ended */
	OK(cuMemGetInfo_v2(&free, &total));
	EXPECT(free == limit && total == limit, "%zu of %zu are free", free, total);
}

int main(int argc, char **argv)
{
	EXPECT(argc == 3, "usage: loading_test WAY LIMIT");
	limit = strtoull(argv[2], NULL, 0);
	if (strcmp(argv[1], "linked") == 0)
		linked();
	else if (strcmp(argv[1], "dlopen") == 0)
		by_handle(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL));
	else if (strcmp(argv[1], "deepbind") == 0)
		by_handle(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND));
	else if (strcmp(argv[1], "dlmopen") == 0)
		by_handle(dlmopen(LM_ID_NEWLM, "libcuda.so.1", RTLD_NOW | RTLD_LOCAL));
	else if (strcmp(argv[1], "fork") == 0)
		forked();
	else if (strcmp(argv[1], "exec") == 0) {
		OK(cuInit(0));
		executed(argv);
	} else if (strcmp(argv[1], "execheld") == 0) {
		linked(); /* with all that there is */
		executed(argv);
	} else if (strcmp(argv[1], "clone") == 0) {
		cloned();
	} else if (strcmp(argv[1], "vfork") == 0) {
		vforked(argv);
	} else if (strcmp(argv[1], "busyfork") == 0) {
		busy_fork();
	} else {
		EXPECT(0, "%s is no way", argv[1]);
	}
	return 0;
}
