/* Physical memory (physical.c), and where it is mapped (vmm.c). */
#ifndef WEIR_SIM_PHYSICAL_H
#define WEIR_SIM_PHYSICAL_H

#include "sim.h"

#define GRANULARITY (2u << 20)

struct physical {
	bool filed;    /* it is in a file, and not pages that move */
	int fd;
	uint64_t home; /* where its pages are while they are mapped nowhere */
	uint64_t size, charge;
	unsigned handles, maps; /* it is there until both are 0 */
	CUmemAllocationProp prop;
};

bool physical_find(CUmemGenericAllocationHandle handle, struct physical **out);
bool physical_file(struct physical *p); /* puts it into a file, while it is at home; false where that is impossible */
uint64_t addresses_take(uint64_t bytes, uint64_t alignment); /* of which nothing may be touched; 0 where there are none */
void physical_let_go(struct physical *p); /* frees it where nothing has it any more */

#endif
