/* Contexts: the primary one of each device, and others. */
#include "sim.h"

#include <stdlib.h>

#define DEFAULT_MIB 400

static struct ctx *primary[SIM_DEVICES];
static unsigned primary_flags[SIM_DEVICES];

/* A context takes memory: $WEIR_SIM_CONTEXT MiB of it, which may be 0. */
static uint64_t overhead(void)
{
	const char *text = getenv("WEIR_SIM_CONTEXT");
	return (text && *text ? strtoull(text, NULL, 10) : DEFAULT_MIB) << 20;
}

bool ctx_live(CUcontext c)
{
	return handle_is(c, CONTEXT) && !((struct ctx *)c)->dead;
}

static CUresult create(struct ctx **out, int device, unsigned flags, bool is_primary)
{
	static uint64_t id;
	if (fault_lost(device))
		return CUDA_ERROR_UNKNOWN;
	uint64_t bytes = overhead();
	if (!state_charge(device, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	struct ctx *c = handle_new(CONTEXT, sizeof *c);
	if (!c) {
		state_discharge(device, bytes);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	c->device = device;
	c->flags = flags;
	c->primary = is_primary;
	c->id = ++id;
	c->charge = bytes;
	state->slot[state_slot].use[device].contexts++;
	*out = c;
	return CUDA_SUCCESS;
}

/* What was queued goes on, as nothing can be called back from a device; the memory does not wait for it. */
static void destroy(struct ctx *c)
{
	c->dead = true;
	streams_drop(c);
	events_drop(c);
	arrays_drop(c);
	mipmaps_drop(c);
	modules_drop(c);
	memory_drop(c);
	state_discharge(c->device, c->charge);
	state->slot[state_slot].use[c->device].contexts--;
	if (c->primary)
		primary[c->device] = NULL;
}

static CUresult ctx_create(CUcontext *out, unsigned flags, CUdevice device)
{
	struct ctx *c;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	CUresult r = create(&c, device, flags, false);
	if (r)
		return r;
	r = ctx_push(c);
	if (r)
		destroy(c);
	else
		*out = (CUcontext)c;
	return r;
}

CUresult cuCtxCreate(CUcontext *out, unsigned int flags, CUdevice device)
{
	ENTER(ctx_create(out, flags, device));
}

CUresult cuCtxCreate_v2(CUcontext *out, unsigned int flags, CUdevice device)
{
	ENTER(ctx_create(out, flags, device));
}

CUresult cuCtxCreate_v3(CUcontext *out, void *affinity, int count, unsigned int flags, CUdevice device)
{
	if (affinity || count)
		return CUDA_ERROR_NOT_SUPPORTED;
	ENTER(ctx_create(out, flags, device));
}

CUresult cuCtxCreate_v4(CUcontext *out, void *params, unsigned int flags, CUdevice device)
{
	if (params)
		return CUDA_ERROR_NOT_SUPPORTED;
	ENTER(ctx_create(out, flags, device));
}

static CUresult ctx_destroy(CUcontext handle)
{
	struct ctx *c = (struct ctx *)handle;
	if (!ctx_live(handle) || c->primary)
		return CUDA_ERROR_INVALID_CONTEXT;
	destroy(c);
	ctx_pop(c);
	return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext c)
{
	ENTER(ctx_destroy(c));
}

CUresult cuCtxDestroy_v2(CUcontext c)
{
	ENTER(ctx_destroy(c));
}

static CUresult retain(CUcontext *out, CUdevice device)
{
	CUresult r = CUDA_SUCCESS;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	if (!primary[device])
		r = create(&primary[device], device, primary_flags[device], true);
	if (r)
		return r;
	primary[device]->retained++;
	*out = (CUcontext)primary[device];
	return CUDA_SUCCESS;
}

static CUresult release(CUdevice device)
{
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	if (!primary[device] || !primary[device]->retained)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!--primary[device]->retained)
		destroy(primary[device]);
	return CUDA_SUCCESS;
}

/* Everything in the context goes; who has it still may go on with it, anew. */
static CUresult reset(CUdevice device)
{
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	if (primary[device])
		destroy(primary[device]);
	return CUDA_SUCCESS;
}

static CUresult set_flags(CUdevice device, unsigned flags)
{
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	primary_flags[device] = flags;
	if (primary[device])
		primary[device]->flags = flags;
	return CUDA_SUCCESS;
}

static CUresult get_state(CUdevice device, unsigned *flags, int *active)
{
	if (!flags || !active)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*flags = primary_flags[device];
	*active = primary[device] != NULL;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice device)
{
	ENTER(retain(out, device));
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
	ENTER(release(device));
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
	ENTER(release(device));
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
	ENTER(reset(device));
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
	ENTER(reset(device));
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags)
{
	ENTER(set_flags(device, flags));
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags)
{
	ENTER(set_flags(device, flags));
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active)
{
	ENTER(get_state(device, flags, active));
}
