/* Physical memory (physical.c), and where it is mapped (vmm.c). */
#ifndef WEIR_SIM_PHYSICAL_H
#define WEIR_SIM_PHYSICAL_H

#include "sim.h"

#define GRANULARITY (2u << 20)

struct physical {
	int fd; /* its own where it may be exported, the process' heap otherwise */
	bool own_fd;
	bool warm; /* all of its pages are there */
	uint64_t offset, size, charge;
	unsigned handles, maps; /* it is there until both are 0 */
	CUmemAllocationProp prop;
};

bool physical_find(CUmemGenericAllocationHandle handle, struct physical **out);
void physical_let_go(struct physical *p); /* frees it where nothing has it any more */

#endif
