/* Memory that is charged when it is asked for: plain, pitched and managed, arrays; and what a process is told of it. */
#include "memory.h"

#include "nap.h"
#include "real.h"

bool memory_holder_of(struct holder *h, CUdevice device)
{
	h->self = real_depth == 0 ? self_member() : NULL;
	if (h->self == NULL)
		return false;
	int rule = self_rule(h->self, device);
	h->device = device;
	h->rule = (uint32_t)rule;
	h->ctx = NULL;
	return rule >= 0;
}

bool memory_holder(struct holder *h)
{
	CUdevice device;
	CUcontext ctx = NULL;

	if (real_depth > 0 || self_member() == NULL)
		return false;
	if (REAL(cuCtxGetCurrent, &ctx) != CUDA_SUCCESS || ctx == NULL || REAL(cuCtxGetDevice, &device) != CUDA_SUCCESS)
		return false;
	bool held = memory_holder_of(h, device);
	h->ctx = ctx;
	return held;
}

#define PATIENCE 2000000000ull

bool memory_again(struct self *self, CUresult result, struct patience *p)
{
	if (result != CUDA_ERROR_OUT_OF_MEMORY || !atomic_load(&self->swap.on))
		return false;
	if (p->since == 0)
		p->since = self_now();
	if (self_now() - p->since > PATIENCE)
		return false;
	nap(1000000);
	return true;
}

/* What memory pools keep and nobody uses is had first. */
enum ledger_answer memory_ask(struct self *self, uint32_t rule, uint64_t bytes, memory_reserving *from)
{
	enum ledger_answer answer = from(&self->ledger, rule, bytes);

	if (answer == LEDGER_YES || !pools_any(self))
		return answer;
	pools_recount(self, true);
	return from(&self->ledger, rule, bytes);
}

bool memory_reserve(const struct holder *h, uint64_t bytes)
{
	for (;;) {
		swap_enter(h->self);
		swap_leave(h->self);
		enum ledger_answer answer = memory_ask(h->self, h->rule, bytes, ledger_reserve);
		if (answer != LEDGER_LATER)
			return answer == LEDGER_YES;
		promise_wait(h->self, h->rule, bytes);
	}
}

enum ledger_answer memory_reserve_swappable(const struct holder *h, uint64_t bytes)
{
	return memory_ask(h->self, h->rule, bytes, ledger_reserve_swappable);
}

bool memory_correct(const struct holder *h, uint64_t reserved, uint64_t real_bytes)
{
	if (real_bytes > reserved)
		return memory_ask(h->self, h->rule, real_bytes - reserved, ledger_reserve) == LEDGER_YES;
	if (real_bytes < reserved)
		ledger_release(&h->self->ledger, h->rule, reserved - real_bytes);
	return true;
}

void memory_remember(const struct holder *h, uint64_t address, uint64_t bytes)
{
	struct entry e = {.key = address, .bytes = bytes, .owner = (uint64_t)(uintptr_t)h->ctx, .device = h->rule, .count = 1};
	if (!table_put(&h->self->allocations, e))
		self_complain("no memory to remember an allocation: it stays charged");
}

void memory_context_gone(struct self *self, CUcontext ctx)
{
	struct entry e;
	while (ctx != NULL && table_take_of(&self->allocations, (uint64_t)(uintptr_t)ctx, &e))
		ledger_release(&self->ledger, e.device, e.bytes);
}

CUresult cuMemAlloc_v2(CUdeviceptr *ptr, size_t bytes)
{
	struct holder h;

	if (ptr == NULL || bytes == 0 || !memory_holder(&h))
		return REAL(cuMemAlloc_v2, ptr, bytes);
	if (h.self->arena.at != NULL)
		return regions_alloc(&h, bytes, ptr);
	if (!memory_reserve(&h, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	struct patience patience = {0};
	CUresult r;
	do
		r = REAL(cuMemAlloc_v2, ptr, bytes);
	while (memory_again(h.self, r, &patience));
	if (r == CUDA_SUCCESS)
		memory_remember(&h, *ptr, bytes);
	else
		ledger_release(&h.self->ledger, h.rule, bytes);
	return r;
}

CUresult cuMemAllocManaged(CUdeviceptr *ptr, size_t bytes, unsigned int flags)
{
	struct holder h;

	if (ptr == NULL || bytes == 0 || !memory_holder(&h))
		return REAL(cuMemAllocManaged, ptr, bytes, flags);
	if (!memory_reserve(&h, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	struct patience patience = {0};
	CUresult r;
	do
		r = REAL(cuMemAllocManaged, ptr, bytes, flags);
	while (memory_again(h.self, r, &patience));
	if (r == CUDA_SUCCESS)
		memory_remember(&h, *ptr, bytes);
	else
		ledger_release(&h.self->ledger, h.rule, bytes);
	return r;
}

/* Rows of memory that can be swapped begin at multiples of this, which suits every device. */
#define PITCH 512u

static CUresult swappable_pitch(const struct holder *h, CUdeviceptr *ptr, size_t *pitch, size_t width, size_t height,
				unsigned int element)
{
	size_t row, bytes;

	if (element != 4 && element != 8 && element != 16)
		return CUDA_ERROR_INVALID_VALUE;
	if (__builtin_add_overflow(width, (size_t)PITCH - 1, &row))
		return CUDA_ERROR_OUT_OF_MEMORY;
	row -= row % PITCH;
	if (__builtin_mul_overflow(row, height, &bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = regions_alloc(h, bytes, ptr);
	if (r == CUDA_SUCCESS)
		*pitch = row;
	return r;
}

/* The pitch is the driver's choice: what it is too long for is undone, and `least` is what it takes. */
static CUresult pitched(const struct holder *h, uint64_t *least, CUdeviceptr *ptr, size_t *pitch, size_t width,
			size_t height, unsigned int element)
{
	struct patience patience = {0};
	CUresult r;

	if (!memory_reserve(h, *least))
		return CUDA_ERROR_OUT_OF_MEMORY;
	do
		r = REAL(cuMemAllocPitch_v2, ptr, pitch, width, height, element);
	while (memory_again(h->self, r, &patience));
	uint64_t reserved = *least;
	if (r == CUDA_SUCCESS) {
		*least = *pitch * height;
		if (memory_correct(h, reserved, *least)) {
			memory_remember(h, *ptr, *least);
			return r;
		}
		REAL(cuMemFree_v2, *ptr);
		*ptr = 0;
		r = PROMISE_LATER;
	}
	ledger_release(&h->self->ledger, h->rule, reserved);
	return r;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *ptr, size_t *pitch, size_t width, size_t height, unsigned int element)
{
	struct holder h;
	uint64_t least;
	CUresult r;

	if (ptr == NULL || pitch == NULL || width == 0 || height == 0 || !memory_holder(&h))
		return REAL(cuMemAllocPitch_v2, ptr, pitch, width, height, element);
	if (h.self->arena.at != NULL)
		return swappable_pitch(&h, ptr, pitch, width, height, element);
	if (__builtin_mul_overflow(width, height, &least))
		return CUDA_ERROR_OUT_OF_MEMORY;
	do
		r = pitched(&h, &least, ptr, pitch, width, height, element);
	while (r == PROMISE_LATER);
	return r;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
	struct holder h;
	CUresult r = REAL(cuDeviceTotalMem_v2, bytes, device);

	if (r != CUDA_SUCCESS || !memory_holder_of(&h, device))
		return r;
	uint64_t limit = ledger_limit(&h.self->ledger, h.rule);
	if (limit < *bytes)
		*bytes = limit;
	return r;
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total)
{
	struct holder h;
	CUresult r = REAL(cuMemGetInfo_v2, free, total);

	if (r != CUDA_SUCCESS || !memory_holder(&h))
		return r;
	pools_recount(h.self, false);
	uint64_t limit, used = ledger_used(&h.self->ledger, h.rule, &limit), left = limit - used;
	if (total != NULL && limit < *total)
		*total = limit;
	if (free != NULL && left < *free)
		*free = left;
	return r;
}
