/*
 * Contexts. The driver takes memory for each, of which it does not say how much:
 * what it is expected to be is reserved before one is made, and the agent puts
 * what it measures in its place.
 */
#include "memory.h"
#include "real.h"

static struct self *holder(void)
{
	return real_depth == 0 ? self_member() : NULL;
}

/* Reserves what a context is expected to take, and says how much that is. */
static enum ledger_answer reserve(struct self *self, uint32_t rule, uint64_t *bytes)
{
	*bytes = ledger_context(&self->ledger, rule);
	return memory_ask(self, rule, *bytes, ledger_reserve_context);
}

static void remember(struct self *self, CUcontext ctx, uint32_t rule)
{
	struct entry e = {.key = (uint64_t)(uintptr_t)ctx, .device = rule, .count = 1};
	if (!table_put(&self->contexts, e))
		self_complain("no memory to remember a context: it stays charged");
}

/* Makes a context by `call`, if what it is expected to take fits. It is PROMISE_LATER while that was promised, and others
 * have it. Nothing of it can be swapped out, so that it is made whether the container's memory is there or not. */
#define MAKE(self, ctx, device, bytes, call) \
	({ \
		int make_rule = self_rule(self, device); \
		CUresult make_result = CUDA_ERROR_OUT_OF_MEMORY; \
		struct patience make_patience = {0}; \
		enum ledger_answer make_answer = make_rule < 0 ? LEDGER_NO : reserve(self, (uint32_t)make_rule, bytes); \
		if (make_rule < 0) { \
			make_result = (call); \
		} else if (make_answer == LEDGER_YES) { \
			do \
				make_result = (call); \
			while (memory_again(self, make_result, &make_patience)); \
			if (make_result == CUDA_SUCCESS) \
				remember(self, *(ctx), (uint32_t)make_rule); \
			else \
				ledger_release_context(&(self)->ledger, (uint32_t)make_rule); \
		} else if (make_answer == LEDGER_LATER) { \
			make_result = PROMISE_LATER; \
		} else { \
			self_debug("no room for a context on device %d", device); \
		} \
		make_result; \
	})

/* Waits for what a context is to take, with nothing locked, if that is what it needs. */
static bool again(struct self *self, CUdevice device, uint64_t bytes, CUresult r)
{
	if (r != PROMISE_LATER)
		return false;
	promise_wait(self, (uint32_t)self_rule(self, device), bytes);
	return true;
}

#define CREATE(ctx, device, call) \
	({ \
		struct self *create_self = (ctx) != NULL ? holder() : NULL; \
		uint64_t create_bytes = 0; \
		CUresult create_result; \
		if (create_self == NULL) { \
			create_result = (call); \
		} else { \
			do { \
				pthread_mutex_lock(&create_self->making); \
				create_result = MAKE(create_self, ctx, device, &create_bytes, call); \
				pthread_mutex_unlock(&create_self->making); \
			} while (again(create_self, device, create_bytes, create_result)); \
		} \
		create_result; \
	})

CUresult cuCtxCreate(CUcontext *ctx, unsigned int flags, CUdevice device)
{
	return CREATE(ctx, device, REAL(cuCtxCreate, ctx, flags, device));
}

CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned int flags, CUdevice device)
{
	return CREATE(ctx, device, REAL(cuCtxCreate_v2, ctx, flags, device));
}

CUresult cuCtxCreate_v3(CUcontext *ctx, void *affinity, int count, unsigned int flags, CUdevice device)
{
	return CREATE(ctx, device, REAL(cuCtxCreate_v3, ctx, affinity, count, flags, device));
}

CUresult cuCtxCreate_v4(CUcontext *ctx, void *params, unsigned int flags, CUdevice device)
{
	return CREATE(ctx, device, REAL(cuCtxCreate_v4, ctx, params, flags, device));
}

/* What was charged for a context, and for all that was in it, is given back. */
static void gone_with_all(struct self *self, CUcontext ctx)
{
	struct entry e;

	memory_context_gone(self, ctx);
	if (table_take(&self->contexts, (uint64_t)(uintptr_t)ctx, &e))
		ledger_release_context(&self->ledger, e.device);
}

/* Destroys a context by `call`, with all that is in it, and while the mover is not in it. */
#define DESTROY(ctx, call, gone) \
	({ \
		struct self *destroy_self = holder(); \
		CUcontext destroy_ctx = (ctx); \
		if (destroy_self != NULL && destroy_ctx != NULL) { \
			pthread_mutex_lock(&destroy_self->making); \
			queue_freeze(&destroy_self->queue, destroy_ctx); \
			pthread_mutex_lock(&destroy_self->swap.moving); \
			pthread_mutex_lock(&destroy_self->regions.lock); \
		} \
		CUresult destroy_result = (call); \
		if (destroy_self != NULL && destroy_ctx != NULL) { \
			bool destroy_gone = destroy_result == CUDA_SUCCESS && (gone); \
			if (destroy_gone) \
				regions_context_gone(destroy_self, destroy_ctx); \
			pthread_mutex_unlock(&destroy_self->regions.lock); \
			pthread_mutex_unlock(&destroy_self->swap.moving); \
			queue_thaw(&destroy_self->queue, destroy_ctx, destroy_gone); \
			if (destroy_gone) \
				gone_with_all(destroy_self, destroy_ctx); \
			pthread_mutex_unlock(&destroy_self->making); \
		} \
		destroy_result; \
	})

CUresult cuCtxDestroy(CUcontext ctx)
{
	return DESTROY(ctx, REAL(cuCtxDestroy, ctx), true);
}

CUresult cuCtxDestroy_v2(CUcontext ctx)
{
	return DESTROY(ctx, REAL(cuCtxDestroy_v2, ctx), true);
}

static bool primary_active(CUdevice device, bool unsure)
{
	unsigned int flags;
	int active = 0;
	return REAL(cuDevicePrimaryCtxGetState, device, &flags, &active) == CUDA_SUCCESS ? active : unsure;
}

static CUresult retain(struct self *self, CUcontext *ctx, CUdevice device)
{
	CUresult r = REAL(cuDevicePrimaryCtxRetain, ctx, device);
	if (r == CUDA_SUCCESS) {
		struct entry e = {.key = (uint64_t)device + 1, .owner = (uint64_t)(uintptr_t)*ctx, .count = 1};
		table_put(&self->primaries, e);
	}
	return r;
}

/* The first who retains it makes it. */
CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice device)
{
	struct self *self = holder();

	if (self == NULL || ctx == NULL)
		return REAL(cuDevicePrimaryCtxRetain, ctx, device);
	uint64_t bytes = 0;
	CUresult r;
	do {
		pthread_mutex_lock(&self->making);
		r = primary_active(device, true) ? retain(self, ctx, device)
						 : MAKE(self, ctx, device, &bytes, retain(self, ctx, device));
		pthread_mutex_unlock(&self->making);
	} while (again(self, device, bytes, r));
	return r;
}

static CUcontext primary(CUdevice device)
{
	struct self *self = holder();
	struct entry e;
	if (self == NULL || !table_get(&self->primaries, (uint64_t)device + 1, &e))
		return NULL;
	return (CUcontext)(uintptr_t)e.owner;
}

static bool primary_gone(CUdevice device)
{
	return !primary_active(device, true);
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
	return DESTROY(primary(device), REAL(cuDevicePrimaryCtxRelease, device), primary_gone(device));
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
	return DESTROY(primary(device), REAL(cuDevicePrimaryCtxRelease_v2, device), primary_gone(device));
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
	return DESTROY(primary(device), REAL(cuDevicePrimaryCtxReset, device), true);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
	return DESTROY(primary(device), REAL(cuDevicePrimaryCtxReset_v2, device), true);
}
