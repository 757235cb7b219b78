/* Copies and memsets touch the device's memory: each waits until it is there. */
#include "memory.h"
#include "real.h"

/* Both forms of a function, which differ in the default stream. */
#define BOTH(name, suffix, params, ...) \
	CUresult name params \
	{ \
		return RESIDENT(REAL(name, __VA_ARGS__)); \
	} \
	CUresult name##suffix params \
	{ \
		return RESIDENT(REAL(name##suffix, __VA_ARGS__)); \
	}

BOTH(cuMemcpy, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t bytes), dst, src, bytes)
BOTH(cuMemcpyAsync, _ptsz, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream s), dst, src, bytes, s)
BOTH(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr dst, const void *src, size_t bytes), dst, src, bytes)
BOTH(cuMemcpyDtoH_v2, _ptds, (void *dst, CUdeviceptr src, size_t bytes), dst, src, bytes)
BOTH(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t bytes), dst, src, bytes)
BOTH(cuMemcpyHtoDAsync_v2, _ptsz, (CUdeviceptr dst, const void *src, size_t bytes, CUstream s), dst, src, bytes, s)
BOTH(cuMemcpyDtoHAsync_v2, _ptsz, (void *dst, CUdeviceptr src, size_t bytes, CUstream s), dst, src, bytes, s)
BOTH(cuMemcpyDtoDAsync_v2, _ptsz, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream s), dst, src, bytes, s)
BOTH(cuMemcpyPeer, _ptds, (CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes),
     dst, to, src, from, bytes)
BOTH(cuMemcpyPeerAsync, _ptsz, (CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes,
     CUstream s),
     dst, to, src, from, bytes, s)
BOTH(cuMemcpy2D_v2, _ptds, (const CUDA_MEMCPY2D *c), c)
BOTH(cuMemcpy2DUnaligned_v2, _ptds, (const CUDA_MEMCPY2D *c), c)
BOTH(cuMemcpy2DAsync_v2, _ptsz, (const CUDA_MEMCPY2D *c, CUstream s), c, s)
BOTH(cuMemcpy3D_v2, _ptds, (const void *c), c)
BOTH(cuMemcpy3DAsync_v2, _ptsz, (const void *c, CUstream s), c, s)
BOTH(cuMemcpyDtoA_v2, _ptds, (CUarray dst, size_t offset, CUdeviceptr src, size_t bytes), dst, offset, src, bytes)
BOTH(cuMemcpyAtoD_v2, _ptds, (CUdeviceptr dst, CUarray src, size_t offset, size_t bytes), dst, src, offset, bytes)
BOTH(cuMemsetD8_v2, _ptds, (CUdeviceptr dst, unsigned char value, size_t n), dst, value, n)
BOTH(cuMemsetD16_v2, _ptds, (CUdeviceptr dst, unsigned short value, size_t n), dst, value, n)
BOTH(cuMemsetD32_v2, _ptds, (CUdeviceptr dst, unsigned int value, size_t n), dst, value, n)
BOTH(cuMemsetD2D8_v2, _ptds, (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height),
     dst, pitch, value, width, height)
BOTH(cuMemsetD2D16_v2, _ptds, (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height),
     dst, pitch, value, width, height)
BOTH(cuMemsetD2D32_v2, _ptds, (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height),
     dst, pitch, value, width, height)
BOTH(cuMemsetD8Async, _ptsz, (CUdeviceptr dst, unsigned char value, size_t n, CUstream s), dst, value, n, s)
BOTH(cuMemsetD16Async, _ptsz, (CUdeviceptr dst, unsigned short value, size_t n, CUstream s), dst, value, n, s)
BOTH(cuMemsetD32Async, _ptsz, (CUdeviceptr dst, unsigned int value, size_t n, CUstream s), dst, value, n, s)
BOTH(cuMemsetD2D8Async, _ptsz, (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,
     CUstream s),
     dst, pitch, value, width, height, s)
BOTH(cuMemsetD2D16Async, _ptsz, (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,
     CUstream s),
     dst, pitch, value, width, height, s)
BOTH(cuMemsetD2D32Async, _ptsz, (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height,
     CUstream s),
     dst, pitch, value, width, height, s)
