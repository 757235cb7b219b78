/*
 * Modules, and kernels by their names. Any image is a module, and any name is
 * in it. How long a kernel takes is in the name:
 *
 *	spin_250us   that long; ns, us, ms and s are known
 *	spin         parameter 0, a uint64_t of nanoseconds
 *	add_u32      adds parameter 2 (uint32_t) to each of parameter 1 (uint64_t)
 *	             words at parameter 0 (an address)
 *	another      ten microseconds
 */
#define _GNU_SOURCE
#include "launch.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_LENGTH 10000
#define LONGEST 3600000000000ull

enum work { NOTHING, SPIN, ADD };

struct function {
	struct module *module;
	struct function *next;
	enum work work;
	uint64_t length;
	char *name;
};

/* A module of a context, or a library, which is of none. */
struct module {
	struct ctx *ctx;
	struct module *next;
	struct function *functions;
};

static struct module *modules;

static uint64_t length_of(const char *name)
{
	static const struct {
		const char *suffix;
		uint64_t unit;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	char *end;
	if (strncmp(name, "spin_", 5))
		return DEFAULT_LENGTH;
	uint64_t n = strtoull(name + 5, &end, 10);
	for (size_t i = 0; end > name + 5 && i < sizeof units / sizeof *units; i++)
		if (!strcmp(end, units[i].suffix) && n <= LONGEST / units[i].unit)
			return n * units[i].unit;
	return DEFAULT_LENGTH;
}

static CUresult load(struct ctx *c, struct module **out)
{
	struct module *m = handle_new(MODULE, sizeof *m);
	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	m->ctx = c;
	m->next = modules;
	modules = m;
	*out = m;
	return CUDA_SUCCESS;
}

static CUresult load_module(CUmodule *out, const void *image)
{
	struct ctx *c;
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	return out && image ? load(c, (struct module **)out) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult load_library(CUlibrary *out, const void *code)
{
	return out && code ? load(NULL, (struct module **)out) : CUDA_ERROR_INVALID_VALUE;
}

static void drop(struct module *m)
{
	struct module **p = &modules;
	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
	for (struct function *f = m->functions, *next; f; f = next) {
		next = f->next;
		free(f->name);
		handle_free(f);
	}
	handle_free(m);
}

void modules_drop(struct ctx *c)
{
	for (struct module *m = modules, *next; m; m = next) {
		next = m->next;
		if (m->ctx == c)
			drop(m);
	}
}

static CUresult unload(void *handle)
{
	if (!handle_is(handle, MODULE))
		return CUDA_ERROR_INVALID_HANDLE;
	drop(handle);
	return CUDA_SUCCESS;
}

static CUresult get(struct function **out, void *handle, const char *name)
{
	struct module *m = handle;
	if (!out || !name || !*name)
		return CUDA_ERROR_INVALID_VALUE;
	if (!handle_is(m, MODULE))
		return CUDA_ERROR_INVALID_HANDLE;
	for (struct function *f = m->functions; f; f = f->next)
		if (!strcmp(f->name, name)) {
			*out = f;
			return CUDA_SUCCESS;
		}
	struct function *f = handle_new(FUNCTION, sizeof *f);
	char *copy = strdup(name);
	if (!f || !copy) {
		handle_free(f);
		free(copy);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*f = (struct function){ .module = m, .next = m->functions, .name = copy, .length = length_of(name) };
	f->work = !strcmp(name, "spin") ? SPIN : !strcmp(name, "add_u32") ? ADD : NOTHING;
	m->functions = f;
	*out = f;
	return CUDA_SUCCESS;
}

/* Copies n parameters, given one by one or in a buffer in which each begins at a multiple of 8. */
static bool parameters(uint64_t *arg, const size_t *size, int n, void **params, void **extra)
{
	const char *buffer = NULL;
	size_t room = 0;
	for (int i = 0; !params && extra && extra[i]; i += 2) {
		if (extra[i] == (void *)1)
			buffer = extra[i + 1];
		else if (extra[i] == (void *)2)
			room = *(size_t *)extra[i + 1];
	}
	for (int i = 0; i < n; i++) {
		const void *from = params ? params[i] : buffer && room >= (size_t)i * 8 + size[i] ? buffer + i * 8 : NULL;
		if (!from)
			return false;
		memcpy(&arg[i], from, size[i]);
	}
	return true;
}

CUresult kernel_op(CUfunction handle, void **params, void **extra, struct op *out)
{
	static const size_t sizes[] = { sizeof(uint64_t), sizeof(uint64_t), sizeof(uint32_t) };
	const struct function *f = (const struct function *)handle;
	if (!handle_is(f, FUNCTION))
		return CUDA_ERROR_INVALID_HANDLE;
	*out = (struct op){ .kind = OP_KERNEL };
	out->kernel.length = f->length;
	out->kernel.work = f->work;
	if (!parameters(out->kernel.arg, sizes, f->work == SPIN ? 1 : f->work == ADD ? 3 : 0, params, extra))
		return CUDA_ERROR_INVALID_VALUE;
	if (f->work == SPIN)
		out->kernel.length = out->kernel.arg[0] < LONGEST ? out->kernel.arg[0] : LONGEST;
	return CUDA_SUCCESS;
}

CUresult kernel_work(const struct op *op)
{
	uint64_t bytes;
	if (op->kernel.work != ADD)
		return CUDA_SUCCESS;
	if (__builtin_mul_overflow(op->kernel.arg[1], sizeof(uint32_t), &bytes) || op->kernel.arg[0] % sizeof(uint32_t) ||
	    !span_ok(op->kernel.arg[0], bytes))
		return CUDA_ERROR_ILLEGAL_ADDRESS;
	uint32_t *word = (uint32_t *)(uintptr_t)op->kernel.arg[0];
	for (uint64_t i = 0; i < op->kernel.arg[1]; i++)
		word[i] += (uint32_t)op->kernel.arg[2];
	return CUDA_SUCCESS;
}

CUresult function_attribute(int *value, CUfunction_attribute which, CUfunction f)
{
	if (!handle_is(f, FUNCTION))
		return CUDA_ERROR_INVALID_HANDLE;
	if (!value || which < 0)
		return CUDA_ERROR_INVALID_VALUE;
	*value = which == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
	return CUDA_SUCCESS;
}

CUresult function_name(const char **name, CUfunction f)
{
	if (!handle_is(f, FUNCTION) || !name)
		return CUDA_ERROR_INVALID_HANDLE;
	*name = ((struct function *)f)->name;
	return CUDA_SUCCESS;
}

CUresult function_module(CUmodule *module, CUfunction f)
{
	if (!handle_is(f, FUNCTION) || !module)
		return CUDA_ERROR_INVALID_HANDLE;
	*module = (CUmodule)((struct function *)f)->module;
	return CUDA_SUCCESS;
}

CUresult module_load(CUmodule *out, const void *image)
{
	ENTER(load_module(out, image));
}

CUresult cuModuleUnload(CUmodule m)
{
	ENTER(unload(m));
}

CUresult cuModuleGetFunction(CUfunction *out, CUmodule m, const char *name)
{
	ENTER(get((struct function **)out, m, name));
}

CUresult cuLibraryLoadData(CUlibrary *out, const void *code, CUjit_option *jit, void **jit_values,
			   unsigned int jit_count, CUlibraryOption *options, void **values, unsigned int count)
{
	(void)jit, (void)jit_values, (void)jit_count, (void)options, (void)values, (void)count;
	ENTER(load_library(out, code));
}

CUresult cuLibraryUnload(CUlibrary l)
{
	ENTER(unload(l));
}

CUresult cuLibraryGetKernel(CUkernel *out, CUlibrary l, const char *name)
{
	ENTER(get((struct function **)out, l, name));
}
