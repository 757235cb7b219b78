/*
 * Finding functions: what the exported form of a name is for a version of the
 * interface, and for one of the two meanings of no stream.
 */
#include "sim.h"

#include <string.h>

/* A name, the version with which a form of it came, and the form. The newest that is not too new is meant. */
#define F(name, form, since) { #name, since, (void *)name##form }
static const struct {
	const char *name;
	int since;
	void *function;
} forms[] = {
	F(cuInit, , 2000),
	F(cuDriverGetVersion, , 2020),
	F(cuGetErrorName, , 6000),
	F(cuGetErrorString, , 6000),
	F(cuGetProcAddress, , 11030),
	F(cuGetProcAddress, _v2, 12000),
	F(cuGetExportTable, , 3000),
	F(cuDeviceGet, , 2000),
	F(cuDeviceGetCount, , 2000),
	F(cuDeviceGetName, , 2000),
	F(cuDeviceGetUuid, , 9020),
	F(cuDeviceGetUuid, _v2, 11040),
	F(cuDeviceTotalMem, , 2000),
	F(cuDeviceTotalMem, _v2, 3020),
	F(cuDeviceGetAttribute, , 2000),
	F(cuDeviceGetPCIBusId, , 4010),
	F(cuDeviceGetByPCIBusId, , 4010),
	F(cuDeviceComputeCapability, , 2000),
	F(cuDeviceCanAccessPeer, , 4000),
	F(cuDevicePrimaryCtxRetain, , 7000),
	F(cuDevicePrimaryCtxRelease, , 7000),
	F(cuDevicePrimaryCtxRelease, _v2, 11000),
	F(cuDevicePrimaryCtxReset, , 7000),
	F(cuDevicePrimaryCtxReset, _v2, 11000),
	F(cuDevicePrimaryCtxSetFlags, , 7000),
	F(cuDevicePrimaryCtxSetFlags, _v2, 11000),
	F(cuDevicePrimaryCtxGetState, , 7000),
	F(cuCtxCreate, , 2000),
	F(cuCtxCreate, _v2, 3020),
	F(cuCtxCreate, _v3, 11040),
	F(cuCtxCreate, _v4, 12050),
	F(cuCtxDestroy, , 2000),
	F(cuCtxDestroy, _v2, 4000),
	F(cuCtxPushCurrent, , 2000),
	F(cuCtxPushCurrent, _v2, 4000),
	F(cuCtxPopCurrent, , 2000),
	F(cuCtxPopCurrent, _v2, 4000),
	F(cuCtxSetCurrent, , 4000),
	F(cuCtxGetCurrent, , 4000),
	F(cuCtxGetDevice, , 2000),
	F(cuCtxGetFlags, , 7000),
	F(cuCtxGetId, , 12000),
	F(cuCtxGetApiVersion, , 3020),
	F(cuCtxGetLimit, , 3010),
	F(cuCtxSetLimit, , 3010),
	F(cuCtxGetStreamPriorityRange, , 5050),
	F(cuCtxSynchronize, , 2000),
	F(cuCtxEnablePeerAccess, , 4000),
	F(cuCtxDisablePeerAccess, , 4000),
	F(cuMemGetInfo, , 2000),
	F(cuMemAlloc, , 2000),
	F(cuMemAllocPitch, , 2000),
	F(cuMemFree, , 2000),
	F(cuMemGetInfo, _v2, 3020),
	F(cuMemAlloc, _v2, 3020),
	F(cuMemAllocPitch, _v2, 3020),
	F(cuMemAllocManaged, , 6000),
	F(cuMemFree, _v2, 3020),
	F(cuMemGetAddressRange, _v2, 3020),
	F(cuMemAllocHost, _v2, 3020),
	F(cuMemHostAlloc, , 2020),
	F(cuMemFreeHost, , 2000),
	F(cuMemHostRegister, _v2, 6050),
	F(cuMemHostUnregister, , 4000),
	F(cuMemHostGetDevicePointer, _v2, 3020),
	F(cuMemHostGetFlags, , 2030),
	F(cuMemAdvise, , 8000),
	F(cuMemPrefetchAsync, , 8000),
	F(cuPointerGetAttribute, , 4000),
	F(cuPointerGetAttributes, , 7000),
	F(cuIpcGetMemHandle, , 4010),
	F(cuIpcOpenMemHandle, , 4010),
	F(cuIpcOpenMemHandle, _v2, 11000),
	F(cuIpcCloseMemHandle, , 4010),
	F(cuMemcpy, , 4000),
	F(cuMemcpyAsync, , 4000),
	F(cuMemcpyHtoD, _v2, 3020),
	F(cuMemcpyDtoH, _v2, 3020),
	F(cuMemcpyDtoD, _v2, 3020),
	F(cuMemcpyHtoDAsync, _v2, 3020),
	F(cuMemcpyDtoHAsync, _v2, 3020),
	F(cuMemcpyDtoDAsync, _v2, 3020),
	F(cuMemcpyPeer, , 4000),
	F(cuMemcpyPeerAsync, , 4000),
	F(cuMemcpy2D, _v2, 3020),
	F(cuMemcpy2DUnaligned, _v2, 3020),
	F(cuMemcpy2DAsync, _v2, 3020),
	F(cuMemsetD8, _v2, 3020),
	F(cuMemsetD16, _v2, 3020),
	F(cuMemsetD32, _v2, 3020),
	F(cuMemsetD2D8, _v2, 3020),
	F(cuMemsetD8Async, , 3020),
	F(cuMemsetD16Async, , 3020),
	F(cuMemsetD32Async, , 3020),
	F(cuMemAllocAsync, , 11020),
	F(cuMemAllocFromPoolAsync, , 11020),
	F(cuMemFreeAsync, , 11020),
	F(cuMemPoolCreate, , 11020),
	F(cuMemPoolDestroy, , 11020),
	F(cuMemPoolTrimTo, , 11020),
	F(cuMemPoolGetAttribute, , 11020),
	F(cuMemPoolSetAttribute, , 11020),
	F(cuMemPoolSetAccess, , 11020),
	F(cuMemPoolGetAccess, , 11020),
	F(cuDeviceGetDefaultMemPool, , 11020),
	F(cuDeviceGetMemPool, , 11020),
	F(cuDeviceSetMemPool, , 11020),
	F(cuMemAddressReserve, , 10020),
	F(cuMemAddressFree, , 10020),
	F(cuMemCreate, , 10020),
	F(cuMemRelease, , 10020),
	F(cuMemRetainAllocationHandle, , 11000),
	F(cuMemMap, , 10020),
	F(cuMemUnmap, , 10020),
	F(cuMemSetAccess, , 10020),
	F(cuMemGetAccess, , 10020),
	F(cuMemGetAllocationGranularity, , 10020),
	F(cuMemGetAllocationPropertiesFromHandle, , 10020),
	F(cuMemExportToShareableHandle, , 10020),
	F(cuMemImportFromShareableHandle, , 10020),
	F(cuArrayCreate, _v2, 3020),
	F(cuArray3DCreate, _v2, 3020),
	F(cuArrayDestroy, , 2000),
	F(cuArrayGetMemoryRequirements, , 11060),
	F(cuMipmappedArrayCreate, , 5000),
	F(cuMipmappedArrayDestroy, , 5000),
	F(cuMipmappedArrayGetLevel, , 5000),
	F(cuMipmappedArrayGetMemoryRequirements, , 11060),
	F(cuModuleLoad, , 2000),
	F(cuModuleLoadData, , 2000),
	F(cuModuleLoadDataEx, , 2010),
	F(cuModuleLoadFatBinary, , 2000),
	F(cuModuleUnload, , 2000),
	F(cuModuleGetFunction, , 2000),
	F(cuModuleGetGlobal, _v2, 3020),
	F(cuLibraryLoadData, , 12000),
	F(cuLibraryUnload, , 12000),
	F(cuLibraryGetKernel, , 12000),
	F(cuLibraryGetModule, , 12000),
	F(cuKernelGetFunction, , 12000),
	F(cuFuncGetAttribute, , 2020),
	F(cuFuncSetAttribute, , 9000),
	F(cuFuncSetCacheConfig, , 3000),
	F(cuFuncGetModule, , 11000),
	F(cuFuncGetName, , 12030),
	F(cuOccupancyMaxActiveBlocksPerMultiprocessor, , 6050),
	F(cuLaunchKernel, , 4000),
	F(cuLaunchKernelEx, , 11060),
	F(cuLaunchCooperativeKernel, , 9000),
	F(cuLaunchCooperativeKernelMultiDevice, , 9000),
	F(cuLaunchHostFunc, , 10000),
	F(cuLaunch, , 2000),
	F(cuLaunchGrid, , 2000),
	F(cuLaunchGridAsync, , 2000),
	F(cuStreamCreate, , 2000),
	F(cuStreamCreateWithPriority, , 5050),
	F(cuStreamDestroy, , 2000),
	F(cuStreamDestroy, _v2, 4000),
	F(cuStreamSynchronize, , 2000),
	F(cuStreamQuery, , 2000),
	F(cuStreamWaitEvent, , 3020),
	F(cuStreamAddCallback, , 5000),
	F(cuStreamAttachMemAsync, , 6000),
	F(cuStreamGetFlags, , 5050),
	F(cuStreamGetPriority, , 5050),
	F(cuStreamGetCtx, , 9020),
	F(cuStreamGetId, , 12000),
	F(cuStreamBeginCapture, , 10000),
	F(cuStreamBeginCapture, _v2, 10010),
	F(cuStreamEndCapture, , 10000),
	F(cuStreamIsCapturing, , 10000),
	F(cuStreamGetCaptureInfo, , 10010),
	F(cuStreamGetCaptureInfo, _v2, 11030),
	F(cuThreadExchangeStreamCaptureMode, , 10010),
	F(cuEventCreate, , 2000),
	F(cuEventDestroy, , 2000),
	F(cuEventDestroy, _v2, 4000),
	F(cuEventRecord, , 2000),
	F(cuEventRecordWithFlags, , 11010),
	F(cuEventQuery, , 2000),
	F(cuEventSynchronize, , 2000),
	F(cuEventElapsedTime, , 2000),
	F(cuEventElapsedTime, _v2, 12080),
	F(cuIpcGetEventHandle, , 4010),
	F(cuIpcOpenEventHandle, , 4010),
	F(cuGraphCreate, , 10000),
	F(cuGraphDestroy, , 10000),
	F(cuGraphAddEmptyNode, , 10000),
	F(cuGraphAddKernelNode, , 10000),
	F(cuGraphAddKernelNode, _v2, 12000),
	F(cuGraphAddMemsetNode, , 10000),
	F(cuGraphAddHostNode, , 10000),
	F(cuGraphAddMemAllocNode, , 11040),
	F(cuGraphAddMemFreeNode, , 11040),
	F(cuGraphGetNodes, , 10000),
	F(cuGraphInstantiate, , 10000),
	F(cuGraphInstantiate, _v2, 11000),
	{ "cuGraphInstantiate", 12000, (void *)cuGraphInstantiateWithFlags }, /* its form since then */
	F(cuGraphInstantiateWithFlags, , 11040),
	F(cuGraphInstantiateWithParams, , 12000),
	F(cuGraphUpload, , 11010),
	F(cuGraphLaunch, , 10000),
	F(cuGraphExecDestroy, , 10000),
	F(cuDeviceGetGraphMemAttribute, , 11040),
	F(cuDeviceSetGraphMemAttribute, , 11040),
	F(cuDeviceGraphMemTrim, , 11040),
};

static const struct {
	void *first, *second;
} pairs[] = {
#define PAIR(a, b) { (void *)a, (void *)b },
	WEIR_SECOND_FORMS(PAIR)
#undef PAIR
};

#define SECOND_SINCE 7000

static void *second(void *first)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (pairs[i].first == first)
			return pairs[i].second;
	return first;
}

static CUdriverProcAddressQueryResult find(const char *name, int version, cuuint64_t flags, void **out)
{
	CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
	int newest = -1;
	*out = NULL;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (strcmp(forms[i].name, name))
			continue;
		if (status)
			status = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
		if (forms[i].since > version || forms[i].since < newest)
			continue;
		newest = forms[i].since;
		*out = forms[i].function;
		status = CU_GET_PROC_ADDRESS_SUCCESS;
	}
	if (*out && flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM && version >= SECOND_SINCE)
		*out = second(*out);
	return status;
}

static bool valid(const char *name, void **fn, int version, cuuint64_t flags)
{
	return name && *name && fn && version <= WEIR_CUDA_VERSION &&
	       flags <= CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
}

/* The first form says by its result that there is none; the second succeeds, and says so in the status. */
CUresult cuGetProcAddress(const char *name, void **fn, int version, cuuint64_t flags)
{
	if (!valid(name, fn, version, flags))
		return CUDA_ERROR_INVALID_VALUE;
	return find(name, version, flags, fn) ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char *name, void **fn, int version, cuuint64_t flags,
			     CUdriverProcAddressQueryResult *status)
{
	if (!valid(name, fn, version, flags))
		return CUDA_ERROR_INVALID_VALUE;
	CUdriverProcAddressQueryResult result = find(name, version, flags, fn);
	if (status)
		*status = result;
	return CUDA_SUCCESS;
}
