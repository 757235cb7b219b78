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
/* Not in abi, as the simulated driver has none of these. A copy of three dimensions is described by a struct
 * that is none of our business. */
CUresult cuMemcpy3D_v2(const void *c);
CUresult cuMemcpy3D_v2_ptds(const void *c);
CUresult cuMemcpy3DAsync_v2(const void *c, CUstream s);
CUresult cuMemcpy3DAsync_v2_ptsz(const void *c, CUstream s);
CUresult cuMemcpyDtoA_v2(CUarray dst, size_t offset, CUdeviceptr src, size_t bytes);
CUresult cuMemcpyDtoA_v2_ptds(CUarray dst, size_t offset, CUdeviceptr src, size_t bytes);
CUresult cuMemcpyAtoD_v2(CUdeviceptr dst, CUarray src, size_t offset, size_t bytes);
CUresult cuMemcpyAtoD_v2_ptds(CUdeviceptr dst, CUarray src, size_t offset, size_t bytes);
CUresult cuMemsetD2D16_v2(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height);
CUresult cuMemsetD2D16_v2_ptds(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height);
CUresult cuMemsetD2D32_v2(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height);
CUresult cuMemsetD2D32_v2_ptds(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height);
CUresult cuMemsetD2D8Async(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,
			   CUstream s);
CUresult cuMemsetD2D8Async_ptsz(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,
			   CUstream s);
CUresult cuMemsetD2D16Async(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,
			   CUstream s);
CUresult cuMemsetD2D16Async_ptsz(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,
			   CUstream s);
CUresult cuMemsetD2D32Async(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height,
			   CUstream s);
CUresult cuMemsetD2D32Async_ptsz(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height,
			   CUstream s);
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
	X(cuMemGetAddressRange_v2) \
	X(cuPointerGetAttribute) \
	X(cuPointerGetAttributes) \
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
	X(cuCtxCreate) \
	X(cuCtxCreate_v2) \
	X(cuCtxCreate_v3) \
	X(cuCtxCreate_v4) \
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
	X(cuGraphLaunch_ptsz) \
	X(cuMemcpy) \
	X(cuMemcpy_ptds) \
	X(cuMemcpyAsync) \
	X(cuMemcpyAsync_ptsz) \
	X(cuMemcpyHtoD_v2) \
	X(cuMemcpyHtoD_v2_ptds) \
	X(cuMemcpyDtoH_v2) \
	X(cuMemcpyDtoH_v2_ptds) \
	X(cuMemcpyDtoD_v2) \
	X(cuMemcpyDtoD_v2_ptds) \
	X(cuMemcpyHtoDAsync_v2) \
	X(cuMemcpyHtoDAsync_v2_ptsz) \
	X(cuMemcpyDtoHAsync_v2) \
	X(cuMemcpyDtoHAsync_v2_ptsz) \
	X(cuMemcpyDtoDAsync_v2) \
	X(cuMemcpyDtoDAsync_v2_ptsz) \
	X(cuMemcpyPeer) \
	X(cuMemcpyPeer_ptds) \
	X(cuMemcpyPeerAsync) \
	X(cuMemcpyPeerAsync_ptsz) \
	X(cuMemcpy2D_v2) \
	X(cuMemcpy2D_v2_ptds) \
	X(cuMemcpy2DUnaligned_v2) \
	X(cuMemcpy2DUnaligned_v2_ptds) \
	X(cuMemcpy2DAsync_v2) \
	X(cuMemcpy2DAsync_v2_ptsz) \
	X(cuMemcpy3D_v2) \
	X(cuMemcpy3D_v2_ptds) \
	X(cuMemcpy3DAsync_v2) \
	X(cuMemcpy3DAsync_v2_ptsz) \
	X(cuMemcpyDtoA_v2) \
	X(cuMemcpyDtoA_v2_ptds) \
	X(cuMemcpyAtoD_v2) \
	X(cuMemcpyAtoD_v2_ptds) \
	X(cuMemsetD8_v2) \
	X(cuMemsetD8_v2_ptds) \
	X(cuMemsetD16_v2) \
	X(cuMemsetD16_v2_ptds) \
	X(cuMemsetD32_v2) \
	X(cuMemsetD32_v2_ptds) \
	X(cuMemsetD2D8_v2) \
	X(cuMemsetD2D8_v2_ptds) \
	X(cuMemsetD2D16_v2) \
	X(cuMemsetD2D16_v2_ptds) \
	X(cuMemsetD2D32_v2) \
	X(cuMemsetD2D32_v2_ptds) \
	X(cuMemsetD8Async) \
	X(cuMemsetD8Async_ptsz) \
	X(cuMemsetD16Async) \
	X(cuMemsetD16Async_ptsz) \
	X(cuMemsetD32Async) \
	X(cuMemsetD32Async_ptsz) \
	X(cuMemsetD2D8Async) \
	X(cuMemsetD2D8Async_ptsz) \
	X(cuMemsetD2D16Async) \
	X(cuMemsetD2D16Async_ptsz) \
	X(cuMemsetD2D32Async) \
	X(cuMemsetD2D32Async_ptsz)

/* The shim calls these. */
#define WEIR_CALLED(X) \
	X(cuDeviceGetCount) \
	X(cuDeviceGetUuid) \
	X(cuDeviceGetUuid_v2) \
	X(cuCtxGetCurrent) \
	X(cuCtxGetDevice) \
	X(cuCtxPushCurrent_v2) \
	X(cuCtxPopCurrent_v2) \
	X(cuCtxSynchronize) \
	X(cuMemAddressReserve) \
	X(cuMemAddressFree) \
	X(cuMemSetAccess) \
	X(cuMemHostRegister_v2) \
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
