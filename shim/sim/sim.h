/*
 * What the parts of the simulated driver share within a process. Everything
 * here is under one lock, taken by ENTER in each exported function and let go
 * while something is waited for or copied.
 */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../abi/cuda.h"
#include "fault.h"
#include "state.h"

/* An exported function is ENTER(what it does): initialised, under the lock. */
#define ENTER(call) \
	do { \
		CUresult entered_ = sim_enter(); \
		return entered_ ? entered_ : sim_leave(call); \
	} while (0)

CUresult sim_enter(void);
CUresult sim_leave(CUresult result);
void sim_lock(void);
void sim_unlock(void);

/* Handles: pointers that the driver gave out and has not taken back. */
enum kind { CONTEXT = 1, STREAM, EVENT, MODULE, FUNCTION, POOL, ARRAY, MIPMAP, PHYSICAL, GRAPH, NODE, EXEC };
void *handle_new(enum kind kind, size_t size);   /* zeroed; NULL without host memory */
bool handle_is(const void *p, enum kind kind);
void handle_free(void *p);                       /* forgets it and frees it */
size_t handle_count(void);

/* Contexts are never freed, only dead: a thread may still have one as its current. */
struct ctx {
	int device;
	unsigned flags;
	bool primary, dead;
	unsigned retained; /* of a primary context */
	uint64_t id, charge;
	struct stream *streams; /* also those that nobody created */
	struct stream *legacy;
};
CUresult ctx_current(struct ctx **out); /* an error where there is none, or its device is lost */
bool ctx_live(CUcontext c);
CUresult ctx_push(struct ctx *c);
void ctx_pop(const struct ctx *c); /* where it is the current one */
bool device_is(int device);

/* Streams. What is submitted has its time at once: tail is when all of it has run. */
struct stream {
	struct ctx *ctx;
	struct stream *next;
	unsigned flags;
	int priority;
	bool implicit;    /* legacy, or a thread's own */
	pthread_t thread; /* whose own */
	uint64_t id, tail, ticket;
	struct capture *capture;
};
CUresult stream_find(CUstream handle, struct stream **out);
void stream_join(struct stream *s); /* puts its tail behind the streams that it waits for without being told */
void streams_drop(struct ctx *ctx);
CUresult wait_for(uint64_t time, uint64_t ticket);
CUresult stream_wait(struct stream *s);

/* Functions of the host run in a thread of their own, in the order in which they were submitted. */
uint64_t host_submit(uint64_t time, CUhostFn fn, void *data);
bool host_done(uint64_t ticket);
void host_wait(uint64_t ticket); /* lets the lock go meanwhile */
void host_forked(void);

/* Address ranges. */
enum range_kind { PLAIN = 1, MANAGED, PINNED, REGISTERED, POOLED, GRAPHED, MAPPED, IMPORTED, RESERVED };
struct range {
	uint64_t base, size;
	enum range_kind kind;
	struct ctx *ctx; /* whose end is its end, or NULL */
	int device;
	uint64_t charge;
	CUmemAccess_flags access;
	unsigned flags;
	uint64_t id;
	void *owner; /* struct pool, struct graph_memory or struct physical */
	uint64_t serial; /* of the file in which it is shared, or 0 */
};
struct ranges {
	struct range **at; /* by base */
	size_t count, room;
};
extern struct ranges memory, reserved;
struct range *range_find(const struct ranges *set, uint64_t address);
struct range *range_add(struct ranges *set, const struct range *r); /* NULL without host memory */
void range_remove(struct ranges *set, struct range *r);
/* Whether all of it is memory of a device, or known to the driver, that may be touched. */
bool span_ok(uint64_t address, uint64_t bytes);
/* Fails where a part of it is the driver's and may not be touched; what the driver does not know is the host's. */
bool span_usable(uint64_t address, uint64_t bytes);

void *pages_map(uint64_t bytes); /* zero, real when touched; NULL where there is none */
void pages_unmap(uint64_t base, uint64_t bytes);
uint64_t round_up(uint64_t n, uint64_t to); /* 0 where it does not fit */
void memory_drop(struct ctx *ctx);
CUresult memory_free(uint64_t address);

/* What is done in a stream: at once, or when a graph is launched into which it was captured. */
enum op_kind { OP_EMPTY, OP_KERNEL, OP_COPY, OP_SET, OP_HOST, OP_ALLOC, OP_FREE };
struct op {
	enum op_kind kind;
	union {
		struct {
			uint64_t length; /* nanoseconds */
			int work;        /* what it does to memory: enum in module.c */
			uint64_t arg[3];
		} kernel;
		struct {
			uint64_t dst, src;
			size_t width, height, dst_pitch, src_pitch;
			bool from_device, to_device; /* nothing else will do */
		} copy;
		struct {
			uint64_t dst;
			size_t width, height, pitch; /* width in elements */
			unsigned value, size;
		} set;
		struct {
			CUhostFn fn;
			void *data;
		} host;
		struct graph_memory *memory; /* OP_ALLOC */
		uint64_t address;            /* OP_FREE */
	};
};
CUresult op_submit(struct stream *s, const struct op *op);
CUresult op_run(struct stream *s, const struct op *op);
CUresult kernel_work(const struct op *op);
CUresult kernel_op(CUfunction function, void **params, void **extra, struct op *out);

/* Parts of memory_drop and of freeing that are elsewhere. */
void host_memory_drop(struct range *r);
void shared_unlink(uint64_t serial);

/* Pools. */
struct pool;
CUresult pool_alloc(struct pool *pool, uint64_t bytes, uint64_t *address);
CUresult pool_free(struct range *r);
struct pool *pool_of(int device); /* the current one; NULL without host memory */
void pools_settle(int device);    /* gives back what pools keep beyond their threshold */
void pools_trim(int device);      /* gives back all that is not used */

/* Graphs and captures. */
CUresult capture_add(struct capture *c, const struct op *op);
CUresult capture_alloc(struct stream *s, uint64_t bytes, uint64_t *address);
bool capturing(const struct stream *s);
uint64_t capture_id(const struct stream *s); /* 0 where it is in none */
CUresult capture_enter(struct stream *s, uint64_t id);
void capture_leave(struct stream *s);
bool capture_forbids(void); /* to this thread what is not safe while others capture: whose capture it was is spoilt */
void capture_spoil(struct stream *s); /* something was done that a capture cannot have */
CUresult graph_memory_take(struct graph_memory *m);
struct graph_memory *graph_memory_new(int device, uint64_t bytes, uint64_t *address);
void graph_memory_hold(struct graph_memory *m);
void graph_memory_let_go(struct graph_memory *m);
bool graph_memory_live(const struct graph_memory *m);
uint64_t graph_memory_address(const struct graph_memory *m);
uint64_t graph_memory_size(const struct graph_memory *m);
CUresult graph_memory_reserve(int device, uint64_t more); /* so that this much more may be taken */
void graph_memory_free(struct range *r);

bool array_rows(CUarray handle, uint64_t *base, size_t *row, uint64_t *size);
void arrays_drop(struct ctx *ctx);
void mipmaps_drop(struct ctx *ctx);
void modules_drop(struct ctx *ctx);
void events_drop(struct ctx *ctx);

/* Memory of a device: with faults. */
CUresult charge(int device, uint64_t bytes);

#endif
