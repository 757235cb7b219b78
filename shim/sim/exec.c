/* Graphs that can be launched: what a graph was when it was instantiated. */
#include "graph.h"

#include <stdlib.h>

struct exec {
	struct op *ops;
	size_t count;
	bool frees; /* what an earlier launch left allocated, before it runs anew */
};

static CUresult instantiate(CUgraphExec *out, CUgraph handle, unsigned long long flags)
{
	const struct graph *g = (const struct graph *)handle;
	if (!out || !handle_is(handle, GRAPH))
		return CUDA_ERROR_INVALID_VALUE;
	struct exec *e = handle_new(EXEC, sizeof *e);
	struct op *ops = malloc((g->count + 1) * sizeof *ops);
	if (!e || !ops) {
		handle_free(e);
		free(ops);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*e = (struct exec){ .ops = ops, .count = g->count };
	e->frees = flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
	for (size_t i = 0; i < g->count; i++) {
		ops[i] = g->nodes[i]->op;
		if (ops[i].kind == OP_ALLOC)
			graph_memory_hold(ops[i].memory);
	}
	*out = (CUgraphExec)e;
	return CUDA_SUCCESS;
}

static CUresult destroy(CUgraphExec handle)
{
	struct exec *e = (struct exec *)handle;
	if (!handle_is(handle, EXEC))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < e->count; i++)
		if (e->ops[i].kind == OP_ALLOC)
			graph_memory_let_go(e->ops[i].memory);
	free(e->ops);
	handle_free(e);
	return CUDA_SUCCESS;
}

static CUresult free_left(const struct exec *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct op *op = &e->ops[i];
		if (op->kind != OP_ALLOC || !graph_memory_live(op->memory))
			continue;
		if (!e->frees)
			return CUDA_ERROR_INVALID_VALUE;
		memory_free(graph_memory_address(op->memory));
	}
	return CUDA_SUCCESS;
}

/* The size of what is allocated in this graph at an address; 0 where it is another's. */
static uint64_t size_at(const struct exec *e, uint64_t address)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->ops[i].kind == OP_ALLOC && graph_memory_address(e->ops[i].memory) == address)
			return graph_memory_size(e->ops[i].memory);
	return 0;
}

static uint64_t at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

/* The most that the graph has at once: a launch has all of its memory, or does nothing. */
static uint64_t peak(const struct exec *e)
{
	uint64_t now = 0, most = 0;
	for (size_t i = 0; i < e->count; i++) {
		const struct op *op = &e->ops[i];
		if (op->kind == OP_ALLOC)
			now += graph_memory_size(op->memory);
		else if (op->kind == OP_FREE)
			now -= at_most(size_at(e, op->address), now);
		most = later(most, now);
	}
	return most;
}

/* A graph in a graph is its nodes, in their place. */
static CUresult capture_all(struct stream *s, const struct exec *e)
{
	CUresult r = CUDA_SUCCESS;
	for (size_t i = 0; i < e->count; i++)
		if (e->ops[i].kind == OP_ALLOC || e->ops[i].kind == OP_FREE)
			return CUDA_ERROR_NOT_SUPPORTED;
	for (size_t i = 0; i < e->count && !r; i++)
		r = capture_add(s->capture, &e->ops[i]);
	return r;
}

static CUresult launch(CUgraphExec handle, CUstream stream)
{
	struct stream *s;
	const struct exec *e = (const struct exec *)handle;
	CUresult r = stream_find(stream, &s);
	if (r)
		return r;
	if (!handle_is(handle, EXEC))
		return CUDA_ERROR_INVALID_VALUE;
	if (capturing(s))
		return capture_all(s, e);
	r = free_left(e);
	if (!r)
		r = graph_memory_reserve(s->ctx->device, peak(e));
	for (size_t i = 0; i < e->count && !r; i++)
		r = op_run(s, &e->ops[i]);
	return r;
}

static CUresult instantiate_with(CUgraphExec *out, CUgraph g, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	p->hErrNode_out = NULL;
	CUresult r = instantiate(out, g, p->flags);
	p->result_out = r ? 1 : 0;
	return r;
}

CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph g, CUgraphNode *bad, char *log, size_t size)
{
	if (bad)
		*bad = NULL;
	if (log && size)
		*log = 0;
	ENTER(instantiate(out, g, 0));
}

CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph g, CUgraphNode *bad, char *log, size_t size)
{
	if (bad)
		*bad = NULL;
	if (log && size)
		*log = 0;
	ENTER(instantiate(out, g, 0));
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph g, unsigned long long flags)
{
	ENTER(instantiate(out, g, flags));
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph g, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
	ENTER(instantiate_with(out, g, p));
}

static CUresult upload(CUgraphExec handle, CUstream stream)
{
	struct stream *s;
	CUresult r = stream_find(stream, &s);
	return r ? r : handle_is(handle, EXEC) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphUpload(CUgraphExec e, CUstream s)
{
	ENTER(upload(e, s));
}

CUresult cuGraphLaunch(CUgraphExec e, CUstream s)
{
	ENTER(launch(e, s));
}

CUresult cuGraphExecDestroy(CUgraphExec e)
{
	ENTER(destroy(e));
}
