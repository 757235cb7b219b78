/*
 * What is done in a stream. Bytes move at once, when the call is made, and only
 * time goes by as it would on a device: the order of calls is one in which the
 * device could have done them. The exception is what a function of the host may
 * still write: a copy waits for those before it.
 */
#include "sim.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Whether rows lie where they may be read or written. */
static bool rows(bool (*ok)(uint64_t, uint64_t), uint64_t base, size_t pitch, size_t width, size_t height)
{
	uint64_t bytes;
	if (!width || !height)
		return true;
	if (__builtin_mul_overflow((uint64_t)pitch, (uint64_t)height - 1, &bytes) ||
	    __builtin_add_overflow(bytes, (uint64_t)width, &bytes))
		return false;
	return ok(base, bytes);
}

static bool on_device(uint64_t address)
{
	const struct range *r = range_find(&memory, address);
	return r && r->kind != PINNED && r->kind != REGISTERED;
}

/*
 * Copies between host and device go past the caches, as a device's copy engine
 * does: half as fast it would be for pieces of a size that the C library takes
 * for one to be cached.
 */
static void move_bytes(char *to, const char *from, size_t n, bool past_caches)
{
#ifdef __SSE2__
	size_t head = -(uintptr_t)to & 15;
	if (past_caches && n >= 1u << 20) {
		memcpy(to, from, head);
		for (to += head, from += head, n -= head; n >= 64; to += 64, from += 64, n -= 64) {
			_mm_prefetch(from + 2048, _MM_HINT_NTA); /* of the next page too, which the machine does not */
			for (int i = 0; i < 4; i++)
				_mm_stream_si128((__m128i *)to + i, _mm_loadu_si128((const __m128i *)from + i));
		}
		_mm_sfence();
	}
#else
	(void)past_caches;
#endif
	memmove(to, from, n);
}

static CUresult run_copy(struct stream *s, const struct op *op)
{
	uint64_t dst = op->copy.dst, src = op->copy.src, bandwidth;
	size_t width = op->copy.width, height = op->copy.height;
	if (!rows(op->copy.to_device ? span_ok : span_usable, dst, op->copy.dst_pitch, width, height) ||
	    !rows(op->copy.from_device ? span_ok : span_usable, src, op->copy.src_pitch, width, height))
		return CUDA_ERROR_INVALID_VALUE;
	if (fault_copy())
		return CUDA_ERROR_UNKNOWN;
	host_wait(s->ticket);
	bandwidth = fault_bandwidth();
	uint64_t length = bandwidth ? (uint64_t)((double)width * (double)height * 1e9 / (double)bandwidth) : 0;
	s->tail = timeline_copy(s->ctx->device, on_device(dst), s->tail, length);
	bool engine = on_device(dst) != on_device(src);
	fault_stop(STOP_COPY);
	sim_unlock();
	for (size_t y = 0; y < height; y++)
		move_bytes((char *)(uintptr_t)(dst + y * op->copy.dst_pitch),
			   (const char *)(uintptr_t)(src + y * op->copy.src_pitch), width, engine);
	sim_lock();
	fault_stop(STOP_COPIED);
	return CUDA_SUCCESS;
}

static void set_row(unsigned char *p, unsigned value, unsigned size, size_t count)
{
	if (size == 1) {
		memset(p, (int)value, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		memcpy(p + i * size, &value, size); /* the low bytes are first here */
}

static CUresult run_set(struct stream *s, const struct op *op)
{
	size_t bytes;
	if (__builtin_mul_overflow(op->set.width, (size_t)op->set.size, &bytes) || op->set.dst % op->set.size ||
	    !rows(span_ok, op->set.dst, op->set.pitch, bytes, op->set.height))
		return CUDA_ERROR_INVALID_VALUE;
	host_wait(s->ticket);
	sim_unlock();
	for (size_t y = 0; bytes && y < op->set.height; y++)
		set_row((unsigned char *)(uintptr_t)(op->set.dst + y * op->set.pitch), op->set.value, op->set.size,
			op->set.width);
	sim_lock();
	return CUDA_SUCCESS;
}

static CUresult run_host(struct stream *s, const struct op *op)
{
	uint64_t ticket = host_submit(s->tail, op->host.fn, op->host.data);
	if (!ticket)
		return CUDA_ERROR_OUT_OF_MEMORY;
	s->ticket = ticket;
	return CUDA_SUCCESS;
}

CUresult op_run(struct stream *s, const struct op *op)
{
	CUresult r;
	stream_join(s);
	switch (op->kind) {
	case OP_KERNEL:
		r = kernel_work(op);
		if (!r)
			s->tail = timeline_run(s->ctx->device, s->tail, op->kernel.length);
		return r;
	case OP_COPY:
		return run_copy(s, op);
	case OP_SET:
		return run_set(s, op);
	case OP_HOST:
		return run_host(s, op);
	case OP_ALLOC:
		return graph_memory_take(op->memory);
	case OP_FREE:
		return memory_free(op->address);
	case OP_EMPTY:
		break;
	}
	return CUDA_SUCCESS;
}

CUresult op_submit(struct stream *s, const struct op *op)
{
	return capturing(s) ? capture_add(s->capture, op) : op_run(s, op);
}
