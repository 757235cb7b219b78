/* Graphs as a program builds them, node by node. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

struct graph *graph_new(void)
{
	return handle_new(GRAPH, sizeof(struct graph));
}

void graph_free(struct graph *g)
{
	for (size_t i = 0; i < g->count; i++) {
		if (g->nodes[i]->op.kind == OP_ALLOC)
			graph_memory_let_go(g->nodes[i]->op.memory);
		handle_free(g->nodes[i]);
	}
	free(g->nodes);
	handle_free(g);
}

struct node *graph_add(struct graph *g, const struct op *op)
{
	if (g->count == g->room) {
		size_t room = g->room ? g->room * 2 : 16;
		struct node **p = realloc(g->nodes, room * sizeof *p);
		if (!p)
			return NULL;
		g->nodes = p;
		g->room = room;
	}
	struct node *n = handle_new(NODE, sizeof *n);
	if (!n)
		return NULL;
	n->graph = g;
	n->op = *op;
	if (op->kind == OP_ALLOC)
		graph_memory_hold(op->memory);
	g->nodes[g->count++] = n;
	return n;
}

static CUresult create(CUgraph *out, unsigned flags)
{
	if (!out || flags)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUgraph)graph_new();
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult destroy(CUgraph handle)
{
	if (!handle_is(handle, GRAPH))
		return CUDA_ERROR_INVALID_VALUE;
	graph_free((struct graph *)handle);
	return CUDA_SUCCESS;
}

/* Whether a node may be added: what it depends on is in its graph, so that the order of adding will do. */
static CUresult addable(CUgraphNode *out, CUgraph handle, const CUgraphNode *dependencies, size_t count)
{
	if (!out || !handle_is(handle, GRAPH) || (count && !dependencies))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++)
		if (!handle_is(dependencies[i], NODE) ||
		    ((struct node *)dependencies[i])->graph != (struct graph *)handle)
			return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult add(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
		    const struct op *op)
{
	CUresult r = addable(out, graph, dependencies, count);
	if (r)
		return r;
	*out = (CUgraphNode)graph_add((struct graph *)graph, op);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult add_kernel(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUfunction f,
			   void **params, void **extra)
{
	struct op op;
	CUresult r = kernel_op(f, params, extra, &op);
	return r ? r : add(out, graph, dependencies, count, &op);
}

static CUresult add_set(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
			const CUDA_MEMSET_NODE_PARAMS *p)
{
	struct op op = { .kind = OP_SET };
	if (!p || (p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4))
		return CUDA_ERROR_INVALID_VALUE;
	op.set.dst = p->dst;
	op.set.pitch = p->pitch;
	op.set.value = p->value;
	op.set.size = p->elementSize;
	op.set.width = p->width;
	op.set.height = p->height;
	return add(out, graph, dependencies, count, &op);
}

static CUresult add_host(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
			 const CUDA_HOST_NODE_PARAMS *p)
{
	struct op op = { .kind = OP_HOST };
	if (!p || !p->fn)
		return CUDA_ERROR_INVALID_VALUE;
	op.host.fn = p->fn;
	op.host.data = p->userData;
	return add(out, graph, dependencies, count, &op);
}

static CUresult add_alloc(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
			  CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
	struct op op = { .kind = OP_ALLOC };
	uint64_t address;
	if (!p || !p->bytesize || p->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    !device_is(p->poolProps.location.id))
		return CUDA_ERROR_INVALID_VALUE;
	op.memory = graph_memory_new(p->poolProps.location.id, p->bytesize, &address);
	if (!op.memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = add(out, graph, dependencies, count, &op);
	if (!r)
		p->dptr = address;
	graph_memory_let_go(op.memory); /* the node holds it now */
	return r;
}

static CUresult add_free(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
			 CUdeviceptr address)
{
	struct op op = { .kind = OP_FREE, .address = address };
	return address ? add(out, graph, dependencies, count, &op) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult get_nodes(CUgraph handle, CUgraphNode *nodes, size_t *count)
{
	const struct graph *g = (const struct graph *)handle;
	if (!handle_is(handle, GRAPH) || !count)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; nodes && i < *count; i++)
		nodes[i] = i < g->count ? (CUgraphNode)g->nodes[i] : NULL;
	if (!nodes || *count > g->count)
		*count = g->count;
	return CUDA_SUCCESS;
}

CUresult cuGraphCreate(CUgraph *out, unsigned int flags)
{
	ENTER(create(out, flags));
}

CUresult cuGraphDestroy(CUgraph g)
{
	ENTER(destroy(g));
}

CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dependencies, size_t count)
{
	const struct op op = { .kind = OP_EMPTY };
	ENTER(add(out, g, dependencies, count, &op));
}

CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dependencies, size_t count,
			      const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	ENTER(add_kernel(out, g, dependencies, count, p->func, p->kernelParams, p->extra));
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *dependencies, size_t count,
				 const CUDA_KERNEL_NODE_PARAMS_v2 *p)
{
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	CUfunction f = p->func ? p->func : (CUfunction)p->kern;
	ENTER(add_kernel(out, g, dependencies, count, f, p->kernelParams, p->extra));
}

CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dependencies, size_t count,
			      const CUDA_MEMSET_NODE_PARAMS *p, CUcontext c)
{
	(void)c;
	ENTER(add_set(out, g, dependencies, count, p));
}

CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dependencies, size_t count,
			    const CUDA_HOST_NODE_PARAMS *p)
{
	ENTER(add_host(out, g, dependencies, count, p));
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dependencies, size_t count,
				CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
	ENTER(add_alloc(out, g, dependencies, count, p));
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dependencies, size_t count,
			       CUdeviceptr address)
{
	ENTER(add_free(out, g, dependencies, count, address));
}

CUresult cuGraphGetNodes(CUgraph g, CUgraphNode *nodes, size_t *count)
{
	ENTER(get_nodes(g, nodes, count));
}
