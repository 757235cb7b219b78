/* Graphs: lists of what is done, in the order in which it was added, which respects what each depends on. */
#ifndef WEIR_SIM_GRAPH_H
#define WEIR_SIM_GRAPH_H

#include "sim.h"

struct node {
	struct graph *graph;
	struct op op;
};

struct graph {
	struct node **nodes;
	size_t count, room;
};

struct graph *graph_new(void);
void graph_free(struct graph *g);
struct node *graph_add(struct graph *g, const struct op *op); /* NULL without host memory */

#endif
