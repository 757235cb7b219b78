/* Copies and memsets, with a stream and without one. Those without use the default stream and wait for it. */
#include "sim.h"

/* Where each side of a copy must be: device memory, or anywhere that the driver does not forbid. */
enum place { ANYWHERE, DEVICE };

static CUresult submit(CUstream handle, bool wait, const struct op *op)
{
	struct stream *s;
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	if (wait && capturing(s)) {
		capture_spoil(s);
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	r = op_submit(s, op);
	return r || !wait ? r : stream_wait(s);
}

static CUresult copy(uint64_t dst, enum place d, uint64_t src, enum place p, size_t bytes, CUstream s, bool wait)
{
	struct op op = { .kind = OP_COPY };
	if (!bytes)
		return CUDA_SUCCESS;
	op.copy.dst = dst;
	op.copy.src = src;
	op.copy.width = op.copy.dst_pitch = op.copy.src_pitch = bytes;
	op.copy.height = 1;
	op.copy.to_device = d == DEVICE;
	op.copy.from_device = p == DEVICE;
	return submit(s, wait, &op);
}

static CUresult set(uint64_t dst, size_t pitch, unsigned value, unsigned size, size_t width, size_t height, CUstream s,
		    bool wait)
{
	struct op op = { .kind = OP_SET };
	op.set.dst = dst;
	op.set.pitch = pitch;
	op.set.value = value;
	op.set.size = size;
	op.set.width = width;
	op.set.height = height;
	return submit(s, wait, &op);
}

static uint64_t address(const void *p)
{
	return (uintptr_t)p;
}

/* The forms of cuda_threads.h differ from those of cuda.h in the stream that is meant by none. */
#define BOTH(name, suffix, params, call) \
	CUresult name params \
	{ \
		const CUstream none = CU_STREAM_LEGACY; \
		ENTER(call); \
	} \
	CUresult name##suffix params \
	{ \
		const CUstream none = CU_STREAM_PER_THREAD; \
		ENTER(call); \
	}
#define GIVEN(s) ((s) ? (s) : none)

BOTH(cuMemcpy, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t bytes),
     copy(dst, ANYWHERE, src, ANYWHERE, bytes, none, true))
BOTH(cuMemcpyAsync, _ptsz, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream s),
     copy(dst, ANYWHERE, src, ANYWHERE, bytes, GIVEN(s), false))
BOTH(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr dst, const void *src, size_t bytes),
     copy(dst, DEVICE, address(src), ANYWHERE, bytes, none, true))
BOTH(cuMemcpyDtoH_v2, _ptds, (void *dst, CUdeviceptr src, size_t bytes),
     copy(address(dst), ANYWHERE, src, DEVICE, bytes, none, true))
BOTH(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr dst, CUdeviceptr src, size_t bytes),
     copy(dst, DEVICE, src, DEVICE, bytes, none, true))
BOTH(cuMemcpyHtoDAsync_v2, _ptsz, (CUdeviceptr dst, const void *src, size_t bytes, CUstream s),
     copy(dst, DEVICE, address(src), ANYWHERE, bytes, GIVEN(s), false))
BOTH(cuMemcpyDtoHAsync_v2, _ptsz, (void *dst, CUdeviceptr src, size_t bytes, CUstream s),
     copy(address(dst), ANYWHERE, src, DEVICE, bytes, GIVEN(s), false))
BOTH(cuMemcpyDtoDAsync_v2, _ptsz, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream s),
     copy(dst, DEVICE, src, DEVICE, bytes, GIVEN(s), false))

static bool contexts(CUcontext a, CUcontext b)
{
	return handle_is(a, CONTEXT) && handle_is(b, CONTEXT);
}

static CUresult peer(CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t bytes, CUstream s,
		     bool wait)
{
	if (!contexts(dst_ctx, src_ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	return copy(dst, DEVICE, src, DEVICE, bytes, s, wait);
}

BOTH(cuMemcpyPeer, _ptds, (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t bytes),
     peer(dst, dst_ctx, src, src_ctx, bytes, none, true))
BOTH(cuMemcpyPeerAsync, _ptsz,
     (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t bytes, CUstream s),
     peer(dst, dst_ctx, src, src_ctx, bytes, GIVEN(s), false))

/* One side of a copy of rows: its address, and the distance of rows. An array's memory ends where the array does. */
static bool side(CUmemorytype type, const void *host, CUdeviceptr device, CUarray array, size_t pitch, size_t x,
		 size_t y, const CUDA_MEMCPY2D *c, uint64_t *base, size_t *rows)
{
	uint64_t size;
	*rows = pitch;
	switch (type) {
	case CU_MEMORYTYPE_HOST:
		*base = address(host);
		break;
	case CU_MEMORYTYPE_DEVICE:
	case CU_MEMORYTYPE_UNIFIED:
		*base = device;
		break;
	case CU_MEMORYTYPE_ARRAY:
		if (!array_rows(array, base, rows, &size) || x > *rows || c->WidthInBytes > *rows - x ||
		    y > size / *rows || c->Height > size / *rows - y)
			return false;
		break;
	default:
		return false;
	}
	*base += y * *rows + x;
	return true;
}

static CUresult copy_rows(const CUDA_MEMCPY2D *c, CUstream s, bool wait)
{
	struct op op = { .kind = OP_COPY };
	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	if (!side(c->srcMemoryType, c->srcHost, c->srcDevice, c->srcArray, c->srcPitch, c->srcXInBytes, c->srcY, c,
		  &op.copy.src, &op.copy.src_pitch) ||
	    !side(c->dstMemoryType, c->dstHost, c->dstDevice, c->dstArray, c->dstPitch, c->dstXInBytes, c->dstY, c,
		  &op.copy.dst, &op.copy.dst_pitch))
		return CUDA_ERROR_INVALID_VALUE;
	op.copy.width = c->WidthInBytes;
	op.copy.height = c->Height;
	op.copy.to_device = c->dstMemoryType == CU_MEMORYTYPE_DEVICE;
	op.copy.from_device = c->srcMemoryType == CU_MEMORYTYPE_DEVICE;
	if (op.copy.height > 1 && (op.copy.src_pitch < op.copy.width || op.copy.dst_pitch < op.copy.width))
		return CUDA_ERROR_INVALID_VALUE;
	return submit(s, wait, &op);
}

BOTH(cuMemcpy2D_v2, _ptds, (const CUDA_MEMCPY2D *c), copy_rows(c, none, true))
BOTH(cuMemcpy2DUnaligned_v2, _ptds, (const CUDA_MEMCPY2D *c), copy_rows(c, none, true))
BOTH(cuMemcpy2DAsync_v2, _ptsz, (const CUDA_MEMCPY2D *c, CUstream s), copy_rows(c, GIVEN(s), false))

BOTH(cuMemsetD8_v2, _ptds, (CUdeviceptr dst, unsigned char value, size_t n), set(dst, 0, value, 1, n, 1, none, true))
BOTH(cuMemsetD16_v2, _ptds, (CUdeviceptr dst, unsigned short value, size_t n), set(dst, 0, value, 2, n, 1, none, true))
BOTH(cuMemsetD32_v2, _ptds, (CUdeviceptr dst, unsigned int value, size_t n), set(dst, 0, value, 4, n, 1, none, true))
BOTH(cuMemsetD2D8_v2, _ptds, (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height),
     set(dst, pitch, value, 1, width, height, none, true))
BOTH(cuMemsetD8Async, _ptsz, (CUdeviceptr dst, unsigned char value, size_t n, CUstream s),
     set(dst, 0, value, 1, n, 1, GIVEN(s), false))
BOTH(cuMemsetD16Async, _ptsz, (CUdeviceptr dst, unsigned short value, size_t n, CUstream s),
     set(dst, 0, value, 2, n, 1, GIVEN(s), false))
BOTH(cuMemsetD32Async, _ptsz, (CUdeviceptr dst, unsigned int value, size_t n, CUstream s),
     set(dst, 0, value, 4, n, 1, GIVEN(s), false))
