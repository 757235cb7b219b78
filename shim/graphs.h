/* The memory of graphs. */
#ifndef WEIR_GRAPHS_H
#define WEIR_GRAPHS_H

#include "abi/cuda.h"
#include "pools.h"

/* Makes a call that lets a graph take its memory, if that fits; pools_again says whether it is to be made again. */
CUresult graphs_try(CUgraphExec exec, const struct pool_call *call, struct shortage *shortage);

#endif
