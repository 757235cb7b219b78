/* Who a process is: NVML says it in the numbers of the one who asks. Ends with 77 where there can be no namespace. */
#include "test.h"

#include <sched.h>

static unsigned processes(nvmlProcessInfo_v2_t *p)
{
	nvmlDevice_t d;
	unsigned n = 8;
	OK(nvmlInit_v2());
	OK(nvmlDeviceGetHandleByIndex_v2(0, &d));
	OK(nvmlDeviceGetComputeRunningProcesses_v3(d, &n, p));
	return n;
}

/* In a namespace of its own it is the first process, and sees only itself. */
static int inside(void)
{
	nvmlProcessInfo_v2_t p[8];
	CUdeviceptr d;
	begin();
	OK(cuMemAlloc_v2(&d, 3 * MIB));
	CHECK(getpid() == 1 && processes(p) == 1 && p[0].pid == 1 && p[0].usedGpuMemory == 3 * MIB);
	CHECK(write(1, "go", 2) == 2);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	nvmlProcessInfo_v2_t p[8];
	char go[2];
	if (argc > 1)
		return strcmp(argv[1], "inside") ? 1 : inside();
	begin();
	CHECK(processes(p) == 1 && p[0].pid == (unsigned)getpid() && p[0].usedGpuMemory == 0);
	if (unshare(CLONE_NEWPID))
		return 77;
	struct child c = spawn("inside");
	CHECK(read(c.out, go, 2) == 2);
	CHECK(processes(p) == 2);
	const nvmlProcessInfo_v2_t *other = p[0].pid == (unsigned)getpid() ? &p[1] : &p[0];
	CHECK(other->pid == (unsigned)c.pid && other->usedGpuMemory == 3 * MIB);
	kill(c.pid, 9);
	waitpid(c.pid, NULL, 0);
	CHECK(processes(p) == 1);
	_exit(0); /* whose children are in another namespace may make no thread, as a sanitizer does at the end */
}
