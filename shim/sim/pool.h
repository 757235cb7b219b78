/* Memory pools: what pool.c does for the functions of pool_api.c. */
#ifndef WEIR_SIM_POOL_H
#define WEIR_SIM_POOL_H

#include "sim.h"

struct pool {
	struct pool *next;
	int device;
	bool dying; /* destroyed, with memory still in use */
	uint64_t most, threshold, reserved, reserved_high, used, used_high;
	int reuse[3];
	struct segment *segments;
};

struct pool *pool_new(int device, uint64_t most); /* NULL without host memory */
struct pool *pool_standard(int device);
void pool_trim(struct pool *p, uint64_t keep);
void pool_end(struct pool *p); /* it goes when nothing of it is used any more */
void pool_use(struct pool *p); /* makes it the current one of its device */

#endif
