/* Which context a thread works with: the uppermost of a stack that each thread has. */
#include "sim.h"

#define DEPTH 32

static _Thread_local struct ctx *stack[DEPTH];
static _Thread_local int depth; /* the current one is below */

CUresult ctx_current(struct ctx **out)
{
	if (!depth || !stack[depth - 1])
		return CUDA_ERROR_INVALID_CONTEXT;
	*out = stack[depth - 1];
	if ((*out)->dead)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	return fault_lost((*out)->device) ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

CUresult ctx_push(struct ctx *c)
{
	if (depth == DEPTH)
		return CUDA_ERROR_INVALID_VALUE;
	stack[depth++] = c;
	return CUDA_SUCCESS;
}

void ctx_pop(const struct ctx *c)
{
	if (depth && stack[depth - 1] == c)
		depth--;
}

static CUresult push_current(CUcontext c)
{
	return ctx_live(c) ? ctx_push((struct ctx *)c) : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult pop_current(CUcontext *out)
{
	if (!depth)
		return CUDA_ERROR_INVALID_CONTEXT;
	depth--;
	if (out)
		*out = (CUcontext)stack[depth];
	return CUDA_SUCCESS;
}

static CUresult set_current(CUcontext c)
{
	if (c && !ctx_live(c))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (depth)
		depth--;
	return c ? ctx_push((struct ctx *)c) : CUDA_SUCCESS;
}

static CUresult get_current(CUcontext *out)
{
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*out = depth ? (CUcontext)stack[depth - 1] : NULL;
	return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext c)
{
	ENTER(push_current(c));
}

CUresult cuCtxPushCurrent_v2(CUcontext c)
{
	ENTER(push_current(c));
}

CUresult cuCtxPopCurrent(CUcontext *out)
{
	ENTER(pop_current(out));
}

CUresult cuCtxPopCurrent_v2(CUcontext *out)
{
	ENTER(pop_current(out));
}

CUresult cuCtxSetCurrent(CUcontext c)
{
	ENTER(set_current(c));
}

CUresult cuCtxGetCurrent(CUcontext *out)
{
	ENTER(get_current(out));
}
