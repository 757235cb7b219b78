/* Calls functions by name, with nothing in each argument: before anything is initialised, and with a context. */
#include "test.h"

#include <dlfcn.h>

typedef int (*any)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
		   uint64_t, uint64_t);

static any find(const char *name)
{
	any f;
	void *p = dlsym(RTLD_DEFAULT, name);
	if (!p) {
		fprintf(stderr, "%s is declared in shim/abi and not in the driver\n", name);
		exit(1);
	}
	memcpy(&f, &p, sizeof f);
	return f;
}

static void call(const char *name)
{
	find(name)(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	CHECK(argc > 1);
	GIVES(CUDA_ERROR_NOT_INITIALIZED, cuCtxSynchronize());
	OK(nvmlInit_v2()); /* both libraries are needed */
	OK(nvmlShutdown());
	for (int i = 1; i < argc; i++)
		call(argv[i]);
	begin();
	size_t before = free_bytes();
	for (int i = 1; i < argc; i++) {
		begin(); /* some calls end the context */
		call(argv[i]);
	}
	begin();
	CHECK(free_bytes() == before);
	return 0;
}
