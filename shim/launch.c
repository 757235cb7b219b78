/* Launches: each waits for room in its stream's queue and for its device's gate. */
#include "graphs.h"
#include "real.h"
#include "self.h"

/* The slot of a launch that is to be gated, locked; NULL for one that is not. */
static struct slot *enter(struct self **self, const struct launch *l)
{
	*self = real_depth == 0 ? self_member() : NULL;
	if (*self == NULL || queue_captured(&(*self)->queue, l->stream, l->second_form))
		return NULL;
	return queue_enter(*self, l);
}

/* Makes a call between entering and leaving. */
#define GATED(launch_, call) \
	({ \
		const struct launch gated_launch = launch_; \
		struct self *gated_self; \
		struct slot *gated_slot = enter(&gated_self, &gated_launch); \
		CUresult gated_result = (call); \
		if (gated_slot != NULL) \
			queue_leave(gated_self, gated_slot, &gated_launch, gated_result == CUDA_SUCCESS); \
		gated_result; \
	})

#define KERNEL(function, grid, block, stream, second_form) \
	((struct launch){function, (uint64_t)(grid) * (block), stream, second_form})

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
			unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **params,
			void **extra)
{
	return GATED(KERNEL(function, (uint64_t)gx * gy * gz, (uint64_t)bx * by * bz, stream, false),
		     REAL(cuLaunchKernel, function, gx, gy, gz, bx, by, bz, shared, stream, params, extra));
}

CUresult cuLaunchKernel_ptsz(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
			     unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **params,
			     void **extra)
{
	return GATED(KERNEL(function, (uint64_t)gx * gy * gz, (uint64_t)bx * by * bz, stream, true),
		     REAL(cuLaunchKernel_ptsz, function, gx, gy, gz, bx, by, bz, shared, stream, params, extra));
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
				   unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
				   CUstream stream, void **params)
{
	return GATED(KERNEL(function, (uint64_t)gx * gy * gz, (uint64_t)bx * by * bz, stream, false),
		     REAL(cuLaunchCooperativeKernel, function, gx, gy, gz, bx, by, bz, shared, stream, params));
}

CUresult cuLaunchCooperativeKernel_ptsz(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
					unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
					CUstream stream, void **params)
{
	return GATED(KERNEL(function, (uint64_t)gx * gy * gz, (uint64_t)bx * by * bz, stream, true),
		     REAL(cuLaunchCooperativeKernel_ptsz, function, gx, gy, gz, bx, by, bz, shared, stream, params));
}

static struct launch configured(const CUlaunchConfig *c, CUfunction function, bool second_form)
{
	uint64_t grid = (uint64_t)c->gridDimX * c->gridDimY * c->gridDimZ;
	return KERNEL(function, grid, (uint64_t)c->blockDimX * c->blockDimY * c->blockDimZ, c->hStream, second_form);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **params, void **extra)
{
	if (config == NULL)
		return REAL(cuLaunchKernelEx, config, function, params, extra);
	return GATED(configured(config, function, false), REAL(cuLaunchKernelEx, config, function, params, extra));
}

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction function, void **params, void **extra)
{
	if (config == NULL)
		return REAL(cuLaunchKernelEx_ptsz, config, function, params, extra);
	return GATED(configured(config, function, true), REAL(cuLaunchKernelEx_ptsz, config, function, params, extra));
}

/* Several devices at once: their streams would have to be held together, and the driver has given the call up.
 * Each gate is waited for; the launch is made when all were open one after the other. */
CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *list, unsigned int count, unsigned int flags)
{
	unsigned int asked = count;
	int devices = 0;

	/* A list longer than there are devices is the driver's to refuse, and not ours to read. */
	if (list == NULL || REAL(cuDeviceGetCount, &devices) != CUDA_SUCCESS || count > (unsigned int)devices)
		count = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct self *self;
		struct launch l = {list[i].function, 0, list[i].hStream, false};
		struct slot *s = enter(&self, &l);
		if (s != NULL)
			queue_leave(self, s, &l, true);
	}
	return RESIDENT(REAL(cuLaunchCooperativeKernelMultiDevice, list, asked, flags));
}

/* The launches of old: blocks were set before, and the stream is the default one. */
CUresult cuLaunch(CUfunction function)
{
	return GATED(KERNEL(function, 1, 1, NULL, false), REAL(cuLaunch, function));
}

CUresult cuLaunchGrid(CUfunction function, int width, int height)
{
	return GATED(KERNEL(function, (uint64_t)width * (uint64_t)height, 1, NULL, false),
		     REAL(cuLaunchGrid, function, width, height));
}

CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream)
{
	return GATED(KERNEL(function, (uint64_t)width * (uint64_t)height, 1, stream, false),
		     REAL(cuLaunchGridAsync, function, width, height, stream));
}

struct graph_launch {
	CUgraphExec exec;
	CUstream stream;
};

static CUresult graph_launch(void *arg)
{
	struct graph_launch *g = arg;
	return REAL(cuGraphLaunch, g->exec, g->stream);
}

static CUresult graph_launch_ptsz(void *arg)
{
	struct graph_launch *g = arg;
	return REAL(cuGraphLaunch_ptsz, g->exec, g->stream);
}

/* A graph that waits for its memory does so with its stream let go: others launch, and the mover finds all at rest. */
static CUresult launch_graph(struct graph_launch g, bool second_form)
{
	const struct pool_call call = {second_form ? graph_launch_ptsz : graph_launch, NULL, &g};
	struct shortage shortage = {0};
	CUresult r;

	do
		r = GATED(KERNEL(g.exec, 1, 1, g.stream, second_form), graphs_try(g.exec, &call, &shortage));
	while (pools_again(r, &shortage));
	return r;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
	return launch_graph((struct graph_launch){exec, stream}, false);
}

CUresult cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream)
{
	return launch_graph((struct graph_launch){exec, stream}, true);
}
