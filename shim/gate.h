/*
 * The gate of one device: whether this process may launch now, how it waits
 * until it may, and how it gives a lease back. docs/designs/0006-node.md has the
 * protocol.
 */
#ifndef WEIR_GATE_H
#define WEIR_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct self;

struct gate {
	pthread_mutex_t turning;  /* giving back and taking up again */
	_Atomic uint32_t closed;  /* the lease in which nothing more is launched, as it is being given back */
	_Atomic uint32_t waiting; /* threads that wait */
	/* Of the helper thread: launches when it last looked. */
	uint64_t launches_seen;
	/* Without an agent: what was run over the end of a turn is taken from later ones. No launch before this. */
	_Atomic uint64_t not_before;
	_Atomic uint64_t over_until; /* work past the end of a turn is counted up to here */
	_Atomic uint64_t late;	     /* a turn, and by how much others were over it: 32 bits each, ns */
};

/* Whether a launch may begin now. What it says holds for a launch that begins at once. */
bool gate_open(struct self *self, uint32_t device);

/* Waits until the gate may be open. */
void gate_wait(struct self *self, uint32_t device);

/* Work of this process was done at `end`; without an agent, what is past its turn is a debt. */
void gate_done(struct self *self, uint32_t device, uint64_t end);

/* Work that was launched then and takes so long was not done at `not_done`. Where it is the first of a turn without an
 * agent, and nothing else of this process was before it, somebody else was in the way. */
void gate_began(struct self *self, uint32_t device, uint64_t launched, uint64_t cost, uint64_t not_done);

/* The helper thread's part: gives leases back that are over or that nothing uses. In how many nanoseconds to look
 * again. */
uint64_t gate_tick(struct self *self);

#endif
