/*
 * What was promised to the container, and is lent to others because it was not
 * taken: a call that wants it waits until the agent has it back, however long
 * that takes. docs/designs/0007-swap.md has the protocol.
 */
#ifndef WEIR_PROMISE_H
#define WEIR_PROMISE_H

#include <stdint.h>

#include "abi/cuda.h"

struct self;

/* What a call is told that is to be made again when so much more may be had. It never leaves the shim. */
#define PROMISE_LATER ((CUresult)-1)

/* Waits until so many bytes may be had, or it is known that they will not be: the call is to be made again. Called with
 * nothing locked, and not within a call that the mover waits for: meanwhile the program frees and launches, and its
 * memory may go and come. Signals of the program arrive; one that ends it does. */
void promise_wait(struct self *self, uint32_t rule, uint64_t bytes);

#endif
