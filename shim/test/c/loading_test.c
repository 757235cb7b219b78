/*
 * The limit is seen however the driver is found. Usage: loading_test WAY LIMIT,
 * WAY being linked, dlopen, deepbind, dlmopen, procaddress, fork, vfork-exec,
 * exec or unloaded. The program is linked with the shadow for `linked` only as
 * far as its own calls are; the others find it anew.
 */
#include <dlfcn.h>
#include <string.h>
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

/* As a runtime that is linked statically does: one function by name, all others from it. */
static void by_proc_address(void)
{
	void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	struct found f;
	__typeof__(cuGetProcAddress) *get;
	__typeof__(cuGetProcAddress_v2) *get2;
	CUdriverProcAddressQueryResult status;

	EXPECT(handle != NULL, "%s", dlerror());
	*(void **)&get = dlsym(handle, "cuGetProcAddress");
	OK(get("cuGetProcAddress", (void **)&get2, 12000, CU_GET_PROC_ADDRESS_DEFAULT));
	OK(get2("cuInit", (void **)&f.init, 12000, 0, &status));
	OK(get2("cuDevicePrimaryCtxRetain", (void **)&f.retain, 12000, 0, &status));
	OK(get2("cuCtxSetCurrent", (void **)&f.set, 12000, 0, &status));
	OK(get2("cuMemGetInfo", (void **)&f.info, 12000, 0, &status));
	OK(get2("cuMemAlloc", (void **)&f.alloc, 12000, 0, NULL));
	EXPECT(f.alloc == cuMemAlloc_v2, "the shim's function is found");
	void *nothing = NULL;
	(void)get2("cuNoSuchThing", &nothing, 12000, 0, &status);
	EXPECT(nothing == NULL && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, "a name that nobody has");
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

static void executed(char **argv)
{
	execl(argv[0], argv[0], "linked", argv[2], (char *)NULL);
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
	else if (strcmp(argv[1], "procaddress") == 0)
		by_proc_address();
	else if (strcmp(argv[1], "fork") == 0)
		forked();
	else if (strcmp(argv[1], "exec") == 0) {
		OK(cuInit(0));
		executed(argv);
	} else {
		EXPECT(0, "%s is no way", argv[1]);
	}
	return 0;
}
