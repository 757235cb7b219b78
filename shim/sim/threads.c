/*
 * The second form of functions with a stream: no stream means the calling
 * thread's own there. Copies and memsets are in copy.c. The library is linked
 * so that these calls stay in it (-Bsymbolic), whoever shadows the names.
 */
#include "sim.h"

#define OWN(s) ((s) ? (s) : CU_STREAM_PER_THREAD)
#define SECOND(name, params, ...) \
	CUresult name##_ptsz params \
	{ \
		return name(__VA_ARGS__); \
	}

SECOND(cuMemPrefetchAsync, (CUdeviceptr ptr, size_t bytes, CUdevice device, CUstream s), ptr, bytes, device, OWN(s))
SECOND(cuMemAllocAsync, (CUdeviceptr *ptr, size_t bytes, CUstream s), ptr, bytes, OWN(s))
SECOND(cuMemAllocFromPoolAsync, (CUdeviceptr *ptr, size_t bytes, CUmemoryPool pool, CUstream s), ptr, bytes, pool,
       OWN(s))
SECOND(cuMemFreeAsync, (CUdeviceptr ptr, CUstream s), ptr, OWN(s))

SECOND(cuLaunchKernel,
       (CUfunction f, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x,
	unsigned int block_y, unsigned int block_z, unsigned int shared, CUstream s, void **params, void **extra),
       f, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, OWN(s), params, extra)
SECOND(cuLaunchCooperativeKernel,
       (CUfunction f, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x,
	unsigned int block_y, unsigned int block_z, unsigned int shared, CUstream s, void **params),
       f, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, OWN(s), params)
SECOND(cuLaunchHostFunc, (CUstream s, CUhostFn fn, void *data), OWN(s), fn, data)

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	CUlaunchConfig own = *config;
	own.hStream = OWN(own.hStream);
	return cuLaunchKernelEx(&own, f, params, extra);
}

SECOND(cuStreamSynchronize, (CUstream s), OWN(s))
SECOND(cuStreamQuery, (CUstream s), OWN(s))
SECOND(cuStreamWaitEvent, (CUstream s, CUevent e, unsigned int flags), OWN(s), e, flags)
SECOND(cuStreamAddCallback, (CUstream s, CUstreamCallback fn, void *data, unsigned int flags), OWN(s), fn, data, flags)
SECOND(cuStreamAttachMemAsync, (CUstream s, CUdeviceptr ptr, size_t bytes, unsigned int flags), OWN(s), ptr, bytes,
       flags)
SECOND(cuStreamGetFlags, (CUstream s, unsigned int *flags), OWN(s), flags)
SECOND(cuStreamGetPriority, (CUstream s, int *priority), OWN(s), priority)
SECOND(cuStreamGetCtx, (CUstream s, CUcontext *ctx), OWN(s), ctx)
SECOND(cuStreamGetId, (CUstream s, unsigned long long *id), OWN(s), id)
SECOND(cuStreamBeginCapture, (CUstream s), OWN(s))
SECOND(cuStreamBeginCapture_v2, (CUstream s, CUstreamCaptureMode mode), OWN(s), mode)
SECOND(cuStreamEndCapture, (CUstream s, CUgraph *graph), OWN(s), graph)
SECOND(cuStreamIsCapturing, (CUstream s, CUstreamCaptureStatus *status), OWN(s), status)
SECOND(cuStreamGetCaptureInfo, (CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id), OWN(s), status, id)
SECOND(cuStreamGetCaptureInfo_v2,
       (CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph, const CUgraphNode **dependencies,
	size_t *count),
       OWN(s), status, id, graph, dependencies, count)

SECOND(cuEventRecord, (CUevent e, CUstream s), e, OWN(s))
SECOND(cuEventRecordWithFlags, (CUevent e, CUstream s, unsigned int flags), e, OWN(s), flags)
SECOND(cuGraphInstantiateWithParams, (CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params), exec,
       graph, params)
SECOND(cuGraphUpload, (CUgraphExec exec, CUstream s), exec, OWN(s))
SECOND(cuGraphLaunch, (CUgraphExec exec, CUstream s), exec, OWN(s))
