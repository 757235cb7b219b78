/* Launches of kernels and of functions of the host, and the rest of what is asked of modules and functions. */
#include "launch.h"

#include <stdlib.h>

struct shape {
	unsigned grid[3], block[3];
};

static bool sane(const struct shape *s)
{
	uint64_t threads = (uint64_t)s->block[0] * s->block[1];
	return s->grid[0] && s->grid[1] && s->grid[2] && threads && threads <= 1024 && s->block[2] &&
	       threads * s->block[2] <= 1024;
}

static CUresult launch(CUfunction f, const struct shape *shape, CUstream handle, void **params, void **extra)
{
	struct stream *s;
	struct op op;
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	if (!sane(shape) || (params && extra))
		return CUDA_ERROR_INVALID_VALUE;
	r = kernel_op(f, params, extra, &op);
	return r ? r : op_submit(s, &op);
}

#define SHAPE { { grid_x, grid_y, grid_z }, { block_x, block_y, block_z } }

CUresult cuLaunchKernel(CUfunction f, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
			unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,
			CUstream s, void **params, void **extra)
{
	const struct shape shape = SHAPE;
	(void)shared;
	ENTER(launch(f, &shape, s, params, extra));
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
				   unsigned int block_x, unsigned int block_y, unsigned int block_z,
				   unsigned int shared, CUstream s, void **params)
{
	const struct shape shape = SHAPE;
	(void)shared;
	ENTER(launch(f, &shape, s, params, NULL));
}

static CUresult launch_config(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
	if (!c || (c->numAttrs && !c->attrs))
		return CUDA_ERROR_INVALID_VALUE;
	const struct shape shape = { { c->gridDimX, c->gridDimY, c->gridDimZ },
				     { c->blockDimX, c->blockDimY, c->blockDimZ } };
	return launch(f, &shape, c->hStream, params, extra);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
	ENTER(launch_config(config, f, params, extra));
}

static CUresult launch_list(const CUDA_LAUNCH_PARAMS *l, unsigned count)
{
	if (!l || !count)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++, l++) {
		const struct shape shape = { { l->gridDimX, l->gridDimY, l->gridDimZ },
					     { l->blockDimX, l->blockDimY, l->blockDimZ } };
		CUresult r = launch(l->function, &shape, l->hStream, l->kernelParams, NULL);
		if (r)
			return r;
	}
	return CUDA_SUCCESS;
}

CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *list, unsigned int count, unsigned int flags)
{
	(void)flags;
	ENTER(launch_list(list, count));
}

/* The oldest forms: shape and parameters are set in other calls, which nobody makes any more. */
static CUresult launch_grid(CUfunction f, int width, int height, CUstream s)
{
	const struct shape shape = { { (unsigned)width, (unsigned)height, 1 }, { 1, 1, 1 } };
	return width > 0 && height > 0 ? launch(f, &shape, s, NULL, NULL) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLaunch(CUfunction f)
{
	ENTER(launch_grid(f, 1, 1, NULL));
}

CUresult cuLaunchGrid(CUfunction f, int width, int height)
{
	ENTER(launch_grid(f, width, height, NULL));
}

CUresult cuLaunchGridAsync(CUfunction f, int width, int height, CUstream s)
{
	ENTER(launch_grid(f, width, height, s));
}

static CUresult launch_host(CUstream handle, CUhostFn fn, void *data)
{
	struct stream *s;
	struct op op = { .kind = OP_HOST };
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	op.host.fn = fn;
	op.host.data = data;
	return fn ? op_submit(s, &op) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLaunchHostFunc(CUstream s, CUhostFn fn, void *data)
{
	ENTER(launch_host(s, fn, data));
}

struct callback {
	CUstreamCallback fn;
	CUstream stream;
	void *data;
};

static void call_back(void *p)
{
	struct callback c = *(struct callback *)p;
	free(p);
	c.fn(c.stream, CUDA_SUCCESS, c.data);
}

static CUresult add_callback(CUstream handle, CUstreamCallback fn, void *data)
{
	struct stream *s;
	CUresult r = stream_find(handle, &s);
	if (r || !fn)
		return r ? r : CUDA_ERROR_INVALID_VALUE;
	if (capturing(s)) {
		capture_spoil(s);
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	struct callback *c = malloc(sizeof *c);
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*c = (struct callback){ fn, handle, data };
	r = launch_host((CUstream)s, call_back, c);
	if (r)
		free(c);
	return r;
}

CUresult cuStreamAddCallback(CUstream s, CUstreamCallback fn, void *data, unsigned int flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	ENTER(add_callback(s, fn, data));
}

/* What is in the file does not matter. */
CUresult cuModuleLoad(CUmodule *out, const char *path)
{
	return path && *path ? module_load(out, path) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuModuleLoadData(CUmodule *out, const void *image)
{
	return module_load(out, image);
}

CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned int count, CUjit_option *options, void **values)
{
	(void)count, (void)options, (void)values;
	return module_load(out, image);
}

CUresult cuModuleLoadFatBinary(CUmodule *out, const void *image)
{
	return module_load(out, image);
}

/* Modules have no variables. */
CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule m, const char *name)
{
	(void)address, (void)bytes;
	return m && name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}

static CUresult same(void **out, void *handle, enum kind kind)
{
	if (!out || !handle_is(handle, kind))
		return out ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
	*out = handle;
	return CUDA_SUCCESS;
}

CUresult cuLibraryGetModule(CUmodule *out, CUlibrary l)
{
	ENTER(same((void **)out, l, MODULE));
}

CUresult cuKernelGetFunction(CUfunction *out, CUkernel k)
{
	ENTER(same((void **)out, k, FUNCTION));
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute which, CUfunction f)
{
	ENTER(function_attribute(value, which, f));
}

CUresult cuFuncGetName(const char **name, CUfunction f)
{
	ENTER(function_name(name, f));
}

CUresult cuFuncGetModule(CUmodule *module, CUfunction f)
{
	ENTER(function_module(module, f));
}

/* What is set in a function changes nothing here. */
static CUresult known(CUfunction f)
{
	return handle_is(f, FUNCTION) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute which, int value)
{
	(void)which, (void)value;
	ENTER(known(f));
}

CUresult cuFuncSetCacheConfig(CUfunction f, CUfunc_cache config)
{
	(void)config;
	ENTER(known(f));
}

static CUresult occupancy(int *blocks, CUfunction f, int size)
{
	if (!blocks || size <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	*blocks = 2048 / size > 32 ? 32 : 2048 / size;
	return known(f);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int size, size_t dynamic)
{
	(void)dynamic;
	ENTER(occupancy(blocks, f, size));
}
