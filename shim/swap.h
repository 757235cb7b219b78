/*
 * Swapping: where this process's memory is, and who may touch it now. The rules
 * say where it is to be; a thread of the shim, the mover, takes it there, piece
 * by piece. docs/designs/0007-swap.md has the protocol.
 */
#ifndef WEIR_SWAP_H
#define WEIR_SWAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"

struct self;
struct pages;

struct swap {
	_Atomic bool on;	   /* the place of this container's memory may change */
	_Atomic bool closed;	   /* nothing of the device's may be touched: it is out, or on its way */
	_Atomic bool shut;	   /* not even within a capture, which goes on to its end before anything moves */
	_Atomic uint32_t inside;   /* calls that touch the device's memory just now */
	_Atomic uint32_t waiting;  /* threads that wait */
	_Atomic uint32_t gave_up;  /* the last place that could not be reached */
	const char *why;	   /* it could not; the mover's */
	_Atomic bool prepared;	   /* the arena is as it must be for copying fast */
	bool started;
	pthread_mutex_t lock; /* of the condition */
	pthread_cond_t opened;
	pthread_mutex_t moving; /* held while the mover is at the driver */
};

/* Before and after a call that touches the device's memory: it waits until that is there. It may be nested. */
void swap_enter(struct self *self);
void swap_leave(struct self *self);

/* Makes a call that touches the device's memory. */
#define RESIDENT(call) \
	({ \
		struct self *resident_self = real_depth == 0 ? self_member() : NULL; \
		if (resident_self != NULL) \
			swap_enter(resident_self); \
		CUresult resident_result = (call); \
		if (resident_self != NULL) \
			swap_leave(resident_self); \
		resident_result; \
	})

/* Whether launches are held up; and waiting until they are not. */
bool swap_closed(struct self *self);
void swap_wait(struct self *self);

/* Whether all memory that can be is with the host. */
bool swap_is_out(struct self *self);

/* Begins to do as new rules say. */
void swap_adopt(struct self *self, const struct pages *pages);

#endif
