/*
 * Calls the driver as a program does that is often wrong, and says what came of
 * it: line by line the same, whether the shim stands before the driver or not.
 * Usage: fuzz_test SEED STEPS wild|views|tame: see fuzz.h.
 */
#include <dlfcn.h>
#include <string.h>

#include "fuzz.h"

typedef CUresult any_call(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
			  uint64_t, uint64_t, uint64_t);

static bool views;
static CUcontext primaries[2];

/* Contexts and a function of each device, so that much of what follows can be right. */
static void begin(void)
{
	OK(cuInit(0));
	for (int d = 1; d >= 0; d--) {
		CUcontext ctx = try_begin(d);
		CUmodule module;
		CUfunction f;
		OK(cuModuleLoadData(&module, "an image"));
		OK(cuModuleGetFunction(&f, module, "spin_1us"));
		fuzz_made('C', (uint64_t)(uintptr_t)ctx, NULL, 0);
		fuzz_made('F', (uint64_t)(uintptr_t)f, ctx, 0);
	}
}

/* What is gone with its context: of the primary ones, where they have none any more. */
static void look_at_contexts(const char *name, const struct fuzz_value *first, CUresult r)
{
	CUcontext now, popped;

	if (r == CUDA_SUCCESS && strncmp(name, "cuCtxDestroy", 12) == 0)
		fuzz_context_ended((CUcontext)(uintptr_t)first->value);
	for (int d = 0; d < 2; d++) {
		unsigned int flags;
		int active = 0;
		OK(cuDevicePrimaryCtxGetState(d, &flags, &active));
		bool reset = r == CUDA_SUCCESS && strcmp(name, "cuDevicePrimaryCtxReset_v2") == 0 && (int)first->value == d;
		if (primaries[d] != NULL && (!active || reset))
			fuzz_context_ended(primaries[d]);
		if (!active || reset || primaries[d] == NULL) {
			OK(cuDevicePrimaryCtxRetain(&primaries[d], d));
			fuzz_made('C', (uint64_t)(uintptr_t)primaries[d], NULL, 0);
		}
	}
	if (cuCtxGetCurrent(&now) != CUDA_SUCCESS || now == NULL || cuCtxSynchronize() == CUDA_ERROR_CONTEXT_IS_DESTROYED) {
		(void)cuCtxPopCurrent_v2(&popped);
		OK(cuCtxSetCurrent(primaries[0]));
	}
}

static void functions(void)
{
	CUmodule module;
	CUfunction f;
	CUcontext now = NULL;
	if (fuzz_random(40) != 0 || cuModuleLoadData(&module, "an image") != CUDA_SUCCESS)
		return;
	OK(cuModuleGetFunction(&f, module, "spin_1us"));
	OK(cuCtxGetCurrent(&now));
	fuzz_made('F', (uint64_t)(uintptr_t)f, now, 0);
}

/* What is free of each device. */
static void say_views(void)
{
	CUcontext popped;
	for (int d = 0; d < 2; d++) {
		size_t free = 0, total = 0;
		OK(cuCtxPushCurrent_v2(primaries[d]));
		OK(cuMemGetInfo_v2(&free, &total));
		OK(cuCtxPopCurrent_v2(&popped));
		printf("  %zu of %zu", free, total);
	}
	puts("");
}

/*
 * Whether a call becomes a part of a graph. What is taken so is gone with the graph, without another word; what is
 * copied or freed so is touched when the graph is launched, whatever is there by then; what is too large is refused by then.
 */
static bool is_captured(const struct fuzz_call *c, const uint64_t a[PLACES])
{
	const char *stream = strchr(c->places, 'S');
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	CUstream s = stream == NULL ? NULL : (CUstream)(uintptr_t)a[stream - c->places];
	if (s == NULL && (strstr(c->name, "_ptsz") != NULL || strstr(c->name, "_ptds") != NULL))
		s = CU_STREAM_PER_THREAD;
	return cuStreamIsCapturing(s, &status) == CUDA_SUCCESS && status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

static void step(long at)
{
	const struct fuzz_call *c = &fuzz_calls[fuzz_random((uint64_t)fuzz_call_count)];
	/* What takes much away is done now and then. */
	if (strncmp(c->name, "cuDevicePrimaryCtxRe", 20) == 0 && fuzz_random(6) != 0)
		return;
	struct fuzz_value v[PLACES] = {0};
	uint64_t a[PLACES] = {0}, bytes = 0;
	bool huge = false;
	any_call *call;
	CUcontext in = NULL;

	memset(fuzz_answer, 0, sizeof fuzz_answer);
	fuzz_next();
	for (int i = 0; c->places[i] != 0; i++) {
		v[i] = fuzz_choose(c->places[i]);
		a[i] = v[i].value;
		huge = huge || v[i].huge;
		if (c->places[i] == 'B')
			bytes = v[i].value;
	}
	bool captured = is_captured(c, a);
	if (captured && (huge || c->ends == 'D' || strncmp(c->name, "cuMemcpy", 8) == 0 || strncmp(c->name, "cuMemset", 8) == 0))
		return;
	printf("%ld ", at);
	fputs(c->name, stdout);
	*(void **)&call = dlsym(RTLD_DEFAULT, c->name);
	(void)cuCtxGetCurrent(&in);
	CUresult r = call == NULL ? CUDA_ERROR_NOT_SUPPORTED
				  : call(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
	/* Of what is wrong twice and larger than any device, either is told. */
	printf(" = %d\n", huge && r != CUDA_SUCCESS ? -1 : (int)r);
	if (r == CUDA_SUCCESS && c->makes != 0 && a[strcmp(c->places, "So") == 0] != 0 && !(c->makes == 'D' && captured)) {
		uint64_t value;
		memcpy(&value, fuzz_answer[0], sizeof value);
		fuzz_made(c->makes, value, in, bytes == 0 ? 1 : bytes);
	}
	if (r == CUDA_SUCCESS && c->ends != 0 && v[0].slot >= 0)
		fuzz_ended(c->ends, v[0].slot);
	look_at_contexts(c->name, &v[0], r);
	functions();
	if (views)
		say_views();
}

int main(int argc, char **argv)
{
	EXPECT(argc == 4, "usage: fuzz_test SEED STEPS wild|views|tame");
	views = strcmp(argv[3], "views") == 0;
	fuzz_begin(strtoull(argv[1], NULL, 0), views ? FUZZ_VIEWS : strcmp(argv[3], "tame") == 0 ? FUZZ_TAME : FUZZ_WILD);
	setvbuf(stdout, NULL, _IOLBF, 0);
	begin();
	for (long i = 0; i < atol(argv[2]); i++)
		step(i);
	return 0;
}
