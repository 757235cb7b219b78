/*
 * The second form of functions that use the default stream: there it is the
 * calling thread's own. _ptds is the suffix of those that take no stream,
 * _ptsz of those that do. Included by cuda.h. It is a list, for those who define
 * or look up all of them: WEIR_SECOND_FORMS(X) is X(first, second) for each.
 */
#define WEIR_SECOND_FORMS(X) \
	X(cuMemcpy, cuMemcpy_ptds) \
	X(cuMemcpyAsync, cuMemcpyAsync_ptsz) \
	X(cuMemcpyHtoD_v2, cuMemcpyHtoD_v2_ptds) \
	X(cuMemcpyDtoH_v2, cuMemcpyDtoH_v2_ptds) \
	X(cuMemcpyDtoD_v2, cuMemcpyDtoD_v2_ptds) \
	X(cuMemcpyHtoDAsync_v2, cuMemcpyHtoDAsync_v2_ptsz) \
	X(cuMemcpyDtoHAsync_v2, cuMemcpyDtoHAsync_v2_ptsz) \
	X(cuMemcpyDtoDAsync_v2, cuMemcpyDtoDAsync_v2_ptsz) \
	X(cuMemcpyPeer, cuMemcpyPeer_ptds) \
	X(cuMemcpyPeerAsync, cuMemcpyPeerAsync_ptsz) \
	X(cuMemcpy2D_v2, cuMemcpy2D_v2_ptds) \
	X(cuMemcpy2DUnaligned_v2, cuMemcpy2DUnaligned_v2_ptds) \
	X(cuMemcpy2DAsync_v2, cuMemcpy2DAsync_v2_ptsz) \
	X(cuMemsetD8_v2, cuMemsetD8_v2_ptds) \
	X(cuMemsetD16_v2, cuMemsetD16_v2_ptds) \
	X(cuMemsetD32_v2, cuMemsetD32_v2_ptds) \
	X(cuMemsetD2D8_v2, cuMemsetD2D8_v2_ptds) \
	X(cuMemsetD8Async, cuMemsetD8Async_ptsz) \
	X(cuMemsetD16Async, cuMemsetD16Async_ptsz) \
	X(cuMemsetD32Async, cuMemsetD32Async_ptsz) \
	X(cuMemPrefetchAsync, cuMemPrefetchAsync_ptsz) \
	X(cuMemAllocAsync, cuMemAllocAsync_ptsz) \
	X(cuMemAllocFromPoolAsync, cuMemAllocFromPoolAsync_ptsz) \
	X(cuMemFreeAsync, cuMemFreeAsync_ptsz) \
	X(cuLaunchKernel, cuLaunchKernel_ptsz) \
	X(cuLaunchKernelEx, cuLaunchKernelEx_ptsz) \
	X(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel_ptsz) \
	X(cuLaunchHostFunc, cuLaunchHostFunc_ptsz) \
	X(cuStreamSynchronize, cuStreamSynchronize_ptsz) \
	X(cuStreamQuery, cuStreamQuery_ptsz) \
	X(cuStreamWaitEvent, cuStreamWaitEvent_ptsz) \
	X(cuStreamAddCallback, cuStreamAddCallback_ptsz) \
	X(cuStreamAttachMemAsync, cuStreamAttachMemAsync_ptsz) \
	X(cuStreamGetFlags, cuStreamGetFlags_ptsz) \
	X(cuStreamGetPriority, cuStreamGetPriority_ptsz) \
	X(cuStreamGetCtx, cuStreamGetCtx_ptsz) \
	X(cuStreamGetId, cuStreamGetId_ptsz) \
	X(cuStreamBeginCapture, cuStreamBeginCapture_ptsz) \
	X(cuStreamBeginCapture_v2, cuStreamBeginCapture_v2_ptsz) \
	X(cuStreamEndCapture, cuStreamEndCapture_ptsz) \
	X(cuStreamIsCapturing, cuStreamIsCapturing_ptsz) \
	X(cuStreamGetCaptureInfo, cuStreamGetCaptureInfo_ptsz) \
	X(cuStreamGetCaptureInfo_v2, cuStreamGetCaptureInfo_v2_ptsz) \
	X(cuEventRecord, cuEventRecord_ptsz) \
	X(cuEventRecordWithFlags, cuEventRecordWithFlags_ptsz) \
	X(cuGraphInstantiateWithParams, cuGraphInstantiateWithParams_ptsz) \
	X(cuGraphUpload, cuGraphUpload_ptsz) \
	X(cuGraphLaunch, cuGraphLaunch_ptsz)

#define WEIR_DECLARE_SECOND(first, second) __typeof__(first) second;
WEIR_SECOND_FORMS(WEIR_DECLARE_SECOND)
#undef WEIR_DECLARE_SECOND
