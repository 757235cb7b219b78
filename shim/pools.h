/*
 * Memory that the driver keeps in reserve and gives out in parts: memory pools,
 * and what graphs have on a device. Charged is what is reserved, whoever has
 * asked for it; it is read from the driver again and again.
 */
#ifndef WEIR_POOLS_H
#define WEIR_POOLS_H

#include <pthread.h>
#include <stdbool.h>

#include "abi/cuda.h"

struct pool {
	CUmemoryPool handle; /* NULL: the memory of the device's graphs */
	CUdevice device;
	uint32_t rule;
	uint64_t charged;
	uint64_t serial;      /* who has memory of it knows it by this: handles are used again */
	uint32_t given;	      /* how many pieces of memory it has given and not got back */
	bool used, destroyed; /* destroyed: it lives on until all that it gave is free */
};

struct pools {
	pthread_mutex_t lock;
	struct pool *pool;	/* moves as it grows */
	uint32_t room;
	_Atomic uint32_t count; /* of the array in use */
	uint64_t serials;	/* given so far */
};

struct self;

/* Charges for a call that takes `bytes` of a pool, and makes it: `call` is called with `arg`, and `undo` when it
 * took more than there is. */
struct pool_call {
	CUresult (*call)(void *arg);
	void (*undo)(void *arg);
	void *arg;
};

/* Why a call is to be made again. */
struct shortage {
	struct self *self;
	uint32_t rule;
	uint64_t bytes;	 /* that were promised and cannot be had yet */
	uint64_t growth; /* of the pool, as it was seen: it may be more than what is asked for */
	bool by_driver;	 /* the driver has no room for what may be had */
	uint64_t since;	 /* when it said so first */
	bool gives;	 /* the call takes memory that is freed by its address */
	uint64_t serial; /* of the pool that it is of then; 0 where that is not known */
};

/* Does not wait: what is to be made again is PROMISE_LATER, or an error, and pools_again waits and says whether. That is
 * called with nothing locked. */
CUresult pools_try(struct self *self, CUmemoryPool pool, CUdevice device, uint64_t bytes, const struct pool_call *call,
		   struct shortage *shortage);
bool pools_again(CUresult result, struct shortage *shortage);

/* Makes the call, which takes memory that is freed by its address, until it is known whether it can be, and when the
 * container's memory is on the device. `serial` is that of the pool, or 0 where it is not known. */
CUresult pools_take(struct self *self, CUmemoryPool pool, CUdevice device, uint64_t bytes,
		    const struct pool_call *call, uint64_t *serial);

/* Brings all charges to what the driver says; with `trim`, after asking it to give back what nobody uses. */
void pools_recount(struct self *self, bool trim);

/* Whether there is anything to recount. */
bool pools_any(struct self *self);

/* A pool was made on a device, or is known from elsewhere. */
void pools_add(struct self *self, CUmemoryPool pool, CUdevice device);

/* The device of a pool that is known; false for one that is not. */
bool pools_device(struct self *self, CUmemoryPool pool, CUdevice *device);

/* A pool is destroyed by `call`: what it gave and still has not back remains charged. */
CUresult pools_destroy(struct self *self, CUmemoryPool pool);

/* Memory that a pool gave was freed. */
void pools_freed(struct self *self, uint64_t serial, uint64_t bytes);

#endif
