/* The memory of graphs. */
#ifndef WEIR_GRAPHS_H
#define WEIR_GRAPHS_H

#include "abi/cuda.h"
#include "pools.h"

/* Makes a call that lets a graph take its memory, if that fits. */
CUresult graphs_run(CUgraphExec exec, const struct pool_call *call);

#endif
