/* Finding the real driver's functions: see real.h. */
#include "real.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "self.h"

struct real real;
_Thread_local int real_depth;

static CUresult missing(void)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* The driver was loaded as our dependency. It is asked by its path: by name, we would find ourselves. */
static void *open_driver(void)
{
	Dl_info us;
	char path[4096];

	if (dladdr((void *)&real_shadow, &us) == 0)
		return NULL;
	const char *slash = strrchr(us.dli_fname, '/');
	int folder = slash ? (int)(slash - us.dli_fname) : 1;
	snprintf(path, sizeof path, "%.*s/driver/libcuda.so.1", folder, slash ? us.dli_fname : ".");
	void *handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
	return handle != NULL ? handle : dlopen(path, RTLD_LAZY | RTLD_LOCAL);
}

static void *find(void *driver, const char *name)
{
	void *fn = driver ? dlsym(driver, name) : NULL;
	return fn != NULL ? fn : (void *)missing;
}

__attribute__((constructor(200))) static void find_all(void)
{
	void *driver = open_driver();
	if (driver == NULL)
		self_complain("the driver is not beside the shim: %s", dlerror());
#define WEIR_FIND(name) *(void **)&real.name = find(driver, #name);
	WEIR_WRAPPED(WEIR_FIND)
	WEIR_CALLED(WEIR_FIND)
#undef WEIR_FIND
}

static const struct {
	const char *name;
	void **theirs;
	void *ours;
} pairs[] = {
#define WEIR_PAIR(name) {#name, (void **)&real.name, (void *)name},
	WEIR_WRAPPED(WEIR_PAIR)
#undef WEIR_PAIR
};

bool real_is_form(const char *symbol)
{
	size_t n = strlen(symbol);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (strncmp(pairs[i].name, symbol, n) == 0 && (pairs[i].name[n] == 0 || pairs[i].name[n] == '_'))
			return true;
	return false;
}

void *real_shadow(void *of)
{
	for (size_t i = 0; of != (void *)missing && i < sizeof pairs / sizeof *pairs; i++)
		if (*pairs[i].theirs == of)
			return pairs[i].ours;
	return NULL;
}
