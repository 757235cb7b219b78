/*
 * Programs that go step by step with whoever plays the agent: each says a word
 * when it is there, and goes on when it reads a line. Usage:
 *   steps_test capture  its memory is to go out while it captures: the capture comes to its end
 *   steps_test again    launches, and once more when its lease was given back; then it has nothing to do
 *   steps_test beside   launches on the second device while a long kernel keeps a thread waiting at the first
 *   steps_test gentle   captures, while streams are captured and destroyed beside and its memory is new
 *   steps_test cancel   a thread that waits for its memory is cancelled
 *   steps_test elsewhere  its memory is to go out while a context that has none of it is at work
 *   steps_test views    never more is free than there is, however the limit moves
 *   steps_test stay     its memory is to go out, and cannot
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "../../abi/nvml.h"
#include "try.h"

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

static void step(const char *word)
{
	say(word);
	EXPECT(getchar() == '\n', "a line");
}

static CUfunction kernel(const char *name)
{
	CUmodule module;
	CUfunction f;

	OK(cuModuleLoadData(&module, "image"));
	OK(cuModuleGetFunction(&f, module, name));
	return f;
}

static void launch(CUfunction f, CUstream s, void **params)
{
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
}

static void capture(void)
{
	CUstream s;
	CUgraph g;
	CUgraphExec exec;
	CUdeviceptr at;
	uint64_t words = 1000;
	uint32_t one = 1, back;
	void *params[] = {&at, &words, &one};
	CUfunction f = kernel("add_u32");

	OK(cuMemAlloc_v2(&at, words * 4));
	OK(cuStreamCreate(&s, 1));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	step("captures");
	OK(cuMemsetD32Async(at, 7, words, s));
	launch(f, s, params);
	OK(cuStreamEndCapture(s, &g));
	step("captured");
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	OK(cuGraphLaunch(exec, s));
	OK(cuStreamSynchronize(s));
	OK(cuMemcpyDtoH_v2(&back, at + 3996, 4));
	EXPECT(back == 8, "%u", back);
}

static void again(void)
{
	CUfunction f = kernel("spin_1us");

	launch(f, NULL, NULL);
	step("launched");
	launch(f, NULL, NULL);
	step("launched");
}

static void *at_the_first(void *f)
{
	try_begin(0);
	launch(f, NULL, NULL);
	launch(f, NULL, NULL);
	say("first");
	return NULL;
}

static void beside(void)
{
	CUfunction f = kernel("spin_2s");
	CUstream s;
	pthread_t thread;

	launch(f, NULL, NULL); /* from now on it is known how long it takes */
	OK(cuCtxSynchronize());
	EXPECT(pthread_create(&thread, NULL, at_the_first, f) == 0, "a thread");
	try_begin(1);
	OK(cuStreamCreate(&s, 1));
	step("begins");
	launch(kernel("spin_1us"), s, NULL);
	step("second");
	pthread_join(thread, NULL);
}

static void gentle(void)
{
	CUfunction f = kernel("spin_300ms");
	CUstream busy, s, other;
	CUdeviceptr at;
	CUgraph g;

	OK(cuStreamCreate(&busy, 1));
	OK(cuStreamCreate(&s, 1));
	OK(cuStreamCreate(&other, 1));
	launch(f, busy, NULL);
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuMemAlloc_v2(&at, 4000)); /* the first: the arena is made ready */
	OK(cuStreamBeginCapture_v2(other, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuStreamEndCapture(other, &g));
	OK(cuStreamDestroy_v2(busy));
	step("captures");
	OK(cuStreamEndCapture(s, &g));
	step("done");
}

static void *read_it(void *at)
{
	uint32_t back;

	try_begin(0);
	OK(cuMemcpyDtoH_v2(&back, (CUdeviceptr)(uintptr_t)at, 4));
	pthread_testcancel();
	return NULL;
}

static void cancel(void)
{
	CUdeviceptr at;
	pthread_t thread;

	OK(cuMemAlloc_v2(&at, 4000));
	step("has memory");
	EXPECT(pthread_create(&thread, NULL, read_it, (void *)(uintptr_t)at) == 0, "a thread");
	usleep(100000);
	EXPECT(pthread_cancel(thread) == 0, "cancelled");
	usleep(100000);
	step("cancelled");
	pthread_join(thread, NULL);
	read_it((void *)(uintptr_t)at);
}

static pthread_mutex_t until = PTHREAD_MUTEX_INITIALIZER;

static void wait_until(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&until);
	pthread_mutex_unlock(&until);
}

static void elsewhere(void)
{
	CUcontext other, popped;
	CUdeviceptr at;

	OK(cuMemAlloc_v2(&at, 4000));
	OK(cuCtxCreate_v2(&other, 0, 0));
	pthread_mutex_lock(&until);
	OK(cuLaunchHostFunc(NULL, wait_until, NULL));
	step("at work");
	pthread_mutex_unlock(&until);
	OK(cuCtxPopCurrent_v2(&popped));
	step("done");
}

static void views(void)
{
	nvmlDevice_t device;
	nvmlMemory_t memory;
	CUdeviceptr at;
	size_t free, total;

	EXPECT(nvmlInit_v2() == NVML_SUCCESS && nvmlDeviceGetHandleByIndex_v2(0, &device) == NVML_SUCCESS, "NVML");
	OK(cuMemAlloc_v2(&at, 51 * MIB));
	step("has memory");
	for (int i = 0; i < 100000; i++) {
		OK(cuMemGetInfo_v2(&free, &total));
		EXPECT(free <= total, "%zu of %zu are free", free, total);
		EXPECT(nvmlDeviceGetMemoryInfo(device, &memory) == NVML_SUCCESS, "NVML");
		EXPECT(memory.free <= memory.total && memory.used <= memory.total, "%llu of %llu are free", memory.free,
		       memory.total);
	}
	step("done");
}

static void stay(void)
{
	CUdeviceptr at;

	OK(cuMemAlloc_v2(&at, 4000));
	step("has memory");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	try_begin(0);
	if (strcmp(what, "capture") == 0)
		capture();
	else if (strcmp(what, "again") == 0)
		again();
	else if (strcmp(what, "beside") == 0)
		beside();
	else if (strcmp(what, "gentle") == 0)
		gentle();
	else if (strcmp(what, "cancel") == 0)
		cancel();
	else if (strcmp(what, "elsewhere") == 0)
		elsewhere();
	else if (strcmp(what, "views") == 0)
		views();
	else
		stay();
	return 0;
}
