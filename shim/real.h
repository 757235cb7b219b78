/*
 * The real driver: the library that ours depends on. Which of its functions we
 * stand in front of, and which we call besides, is the table here.
 */
#ifndef WEIR_REAL_H
#define WEIR_REAL_H

#include <stdbool.h>

#include "abi/cuda.h"

/* Newer than the interface in abi. */
#pragma GCC visibility push(default)
CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *dependencies, const void *edges,
				     size_t count, CUstreamCaptureMode mode);
CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
					  const void *edges, size_t count, CUstreamCaptureMode mode);
#pragma GCC visibility pop

/* Each of these is defined by the shim, under the same name. */
#define WEIR_WRAPPED(X) \
	X(cuInit) \
	X(cuGetProcAddress) \
	X(cuGetProcAddress_v2) \
	X(cuDeviceTotalMem_v2) \
	X(cuMemGetInfo_v2) \
	X(cuMemAlloc_v2) \
	X(cuMemAllocPitch_v2) \
	X(cuMemAllocManaged) \
	X(cuMemFree_v2) \
	X(cuArrayCreate_v2) \
	X(cuArray3DCreate_v2) \
	X(cuArrayDestroy) \
	X(cuMipmappedArrayCreate) \
	X(cuMipmappedArrayDestroy) \
	X(cuMemCreate) \
	X(cuMemRelease) \
	X(cuMemRetainAllocationHandle) \
	X(cuMemImportFromShareableHandle) \
	X(cuMemMap) \
	X(cuMemUnmap) \
	X(cuMemAllocAsync) \
	X(cuMemAllocAsync_ptsz) \
	X(cuMemAllocFromPoolAsync) \
	X(cuMemAllocFromPoolAsync_ptsz) \
	X(cuMemFreeAsync) \
	X(cuMemFreeAsync_ptsz) \
	X(cuMemPoolCreate) \
	X(cuMemPoolDestroy) \
	X(cuMemPoolTrimTo) \
	X(cuDeviceGraphMemTrim) \
	X(cuGraphAddMemAllocNode) \
	X(cuGraphDestroy) \
	X(cuGraphExecDestroy) \
	X(cuGraphInstantiate) \
	X(cuGraphInstantiate_v2) \
	X(cuGraphInstantiateWithFlags) \
	X(cuGraphInstantiateWithParams) \
	X(cuGraphInstantiateWithParams_ptsz) \
	X(cuGraphUpload) \
	X(cuGraphUpload_ptsz) \
	X(cuCtxDestroy) \
	X(cuCtxDestroy_v2) \
	X(cuDevicePrimaryCtxRetain) \
	X(cuDevicePrimaryCtxRelease) \
	X(cuDevicePrimaryCtxRelease_v2) \
	X(cuDevicePrimaryCtxReset) \
	X(cuDevicePrimaryCtxReset_v2) \
	X(cuStreamDestroy) \
	X(cuStreamDestroy_v2) \
	X(cuStreamBeginCapture) \
	X(cuStreamBeginCapture_ptsz) \
	X(cuStreamBeginCapture_v2) \
	X(cuStreamBeginCapture_v2_ptsz) \
	X(cuStreamBeginCaptureToGraph) \
	X(cuStreamBeginCaptureToGraph_ptsz) \
	X(cuStreamEndCapture) \
	X(cuStreamEndCapture_ptsz) \
	X(cuLaunchKernel) \
	X(cuLaunchKernel_ptsz) \
	X(cuLaunchKernelEx) \
	X(cuLaunchKernelEx_ptsz) \
	X(cuLaunchCooperativeKernel) \
	X(cuLaunchCooperativeKernel_ptsz) \
	X(cuLaunchCooperativeKernelMultiDevice) \
	X(cuLaunch) \
	X(cuLaunchGrid) \
	X(cuLaunchGridAsync) \
	X(cuGraphLaunch) \
	X(cuGraphLaunch_ptsz)

/* The shim calls these. */
#define WEIR_CALLED(X) \
	X(cuDeviceGetUuid) \
	X(cuDeviceGetUuid_v2) \
	X(cuCtxGetCurrent) \
	X(cuCtxGetDevice) \
	X(cuCtxPushCurrent_v2) \
	X(cuCtxPopCurrent_v2) \
	X(cuDevicePrimaryCtxGetState) \
	X(cuArrayGetMemoryRequirements) \
	X(cuMipmappedArrayGetMemoryRequirements) \
	X(cuDeviceGetMemPool) \
	X(cuDeviceGetDefaultMemPool) \
	X(cuMemPoolGetAttribute) \
	X(cuDeviceGetGraphMemAttribute) \
	X(cuEventCreate) \
	X(cuEventDestroy_v2) \
	X(cuEventRecord) \
	X(cuEventRecord_ptsz) \
	X(cuEventQuery) \
	X(cuStreamIsCapturing) \
	X(cuStreamIsCapturing_ptsz) \
	X(cuStreamGetCaptureInfo_v2) \
	X(cuStreamGetCaptureInfo_v2_ptsz) \
	X(cuThreadExchangeStreamCaptureMode)

struct real {
#define WEIR_MEMBER(name) __typeof__(name) *name;
	WEIR_WRAPPED(WEIR_MEMBER)
	WEIR_CALLED(WEIR_MEMBER)
#undef WEIR_MEMBER
};

/* Set before main; a function that this driver does not have answers CUDA_ERROR_NOT_SUPPORTED. */
extern struct real real;

/* How deep this thread is in the real driver: what it calls of itself is not ours to count a second time. */
extern _Thread_local int real_depth;

#define REAL(name, ...) \
	({ \
		real_depth++; \
		CUresult real_result = real.name(__VA_ARGS__); \
		real_depth--; \
		real_result; \
	})

/* Whether functions of this name, without its suffixes, are wrapped. */
bool real_is_form(const char *symbol);

/* The shim's function in the place of this one of the driver's; NULL if it has none. */
void *real_shadow(void *of);

#endif
