/* The memory of graphs. A graph takes what its nodes ask for when it is uploaded or launched. */
#include "graphs.h"

#include "memory.h"
#include "real.h"

static struct self *holder(void)
{
	return real_depth == 0 ? self_member() : NULL;
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
				CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
	CUresult r = REAL(cuGraphAddMemAllocNode, node, graph, dependencies, count, params);
	struct self *self = holder();

	if (self != NULL && r == CUDA_SUCCESS && params->poolProps.location.type == CU_MEM_LOCATION_TYPE_DEVICE)
		table_add(&self->graphs, (uint64_t)(uintptr_t)graph, params->bytesize, 0);
	return r;
}

/* An executable graph was made: it takes what the graph's nodes take. */
static CUresult made(CUresult r, const CUgraphExec *exec, CUgraph graph)
{
	struct self *self = holder();
	struct entry e;

	if (self != NULL && r == CUDA_SUCCESS && table_get(&self->graphs, (uint64_t)(uintptr_t)graph, &e)) {
		e.key = (uint64_t)(uintptr_t)*exec;
		table_put(&self->graphs, e);
		pools_recount(self, false);
	}
	return r;
}

CUresult cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *bad, char *log, size_t size)
{
	return made(REAL(cuGraphInstantiate, exec, graph, bad, log, size), exec, graph);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *bad, char *log, size_t size)
{
	return made(REAL(cuGraphInstantiate_v2, exec, graph, bad, log, size), exec, graph);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
	return made(REAL(cuGraphInstantiateWithFlags, exec, graph, flags), exec, graph);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	return made(REAL(cuGraphInstantiateWithParams, exec, graph, params), exec, graph);
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	return made(REAL(cuGraphInstantiateWithParams_ptsz, exec, graph, params), exec, graph);
}

static void forget(const void *graph)
{
	struct self *self = holder();
	struct entry e;
	if (self != NULL)
		table_take(&self->graphs, (uint64_t)(uintptr_t)graph, &e);
}

CUresult cuGraphDestroy(CUgraph graph)
{
	forget(graph);
	return REAL(cuGraphDestroy, graph);
}

CUresult cuGraphExecDestroy(CUgraphExec exec)
{
	forget(exec);
	return REAL(cuGraphExecDestroy, exec);
}

CUresult cuDeviceGraphMemTrim(CUdevice device)
{
	CUresult r = REAL(cuDeviceGraphMemTrim, device);
	struct self *self = holder();
	if (self != NULL)
		pools_recount(self, false);
	return r;
}

CUresult graphs_try(CUgraphExec exec, const struct pool_call *call, struct shortage *shortage)
{
	struct holder h;
	struct entry e;

	*shortage = (struct shortage){.growth = shortage->growth, .since = shortage->since};
	if (!memory_holder(&h) || !table_get(&h.self->graphs, (uint64_t)(uintptr_t)exec, &e) || e.bytes == 0)
		return call->call(call->arg);
	return pools_try(h.self, NULL, h.device, e.bytes, call, shortage);
}

/* What it takes stays where it is: it is not taken while the container's memory is out. */
static CUresult graphs_run(CUgraphExec exec, const struct pool_call *call)
{
	struct shortage shortage = {0};
	CUresult r;

	do
		r = RESIDENT(graphs_try(exec, call, &shortage));
	while (pools_again(r, &shortage));
	return r;
}

struct upload {
	CUgraphExec exec;
	CUstream stream;
	bool second_form;
};

static CUresult upload(void *arg)
{
	struct upload *u = arg;
	return u->second_form ? REAL(cuGraphUpload_ptsz, u->exec, u->stream) : REAL(cuGraphUpload, u->exec, u->stream);
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream stream)
{
	struct upload u = {exec, stream, false};
	return graphs_run(exec, &(struct pool_call){upload, NULL, &u});
}

CUresult cuGraphUpload_ptsz(CUgraphExec exec, CUstream stream)
{
	struct upload u = {exec, stream, true};
	return graphs_run(exec, &(struct pool_call){upload, NULL, &u});
}
