/* Faults on demand: fault.c says how they are asked for. */
#ifndef WEIR_SIM_FAULT_H
#define WEIR_SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

bool fault_alloc(void);
bool fault_copy(void);
bool fault_lost(int device);
/* Where a process can be stopped. */
enum fault_stop { STOP_CREATE, STOP_MAP, STOP_ACCESS, STOP_COPY, STOP_COPIED, STOP_UNMAP, STOP_RELEASE, STOPS };
void fault_stop(enum fault_stop at);
uint64_t fault_bandwidth(void); /* bytes in a second; 0 where a copy takes as long as it takes */

#endif
