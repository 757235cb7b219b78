/*
 * How long launches take, learned from how long batches of them took. A launch
 * is known by its function (or graph) and about how many threads it has.
 */
#ifndef WEIR_ESTIMATE_H
#define WEIR_ESTIMATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ESTIMATES 4096 /* a power of two; two launches that fall together share a figure */
#define BATCH_KEYS 16

struct estimates {
	_Atomic uint32_t ns[ESTIMATES]; /* 0: not known */
};

/* What was launched between two marks, as far as it can be told apart. */
struct batch {
	uint64_t began; /* when its first launch was */
	uint64_t cost;	/* the sum of what its launches were thought to take */
	uint32_t launches;
	uint32_t keys;
	uint16_t key[BATCH_KEYS];
};

/* The key of a launch. */
static inline uint16_t estimate_key(const void *what, uint64_t threads)
{
	uint64_t h = ((uint64_t)(uintptr_t)what >> 4) * 0x9e3779b97f4a7c15ull;
	h += (uint64_t)(64 - __builtin_clzll(threads | 1)) * 0xd6e8feb86659fd93ull;
	return (uint16_t)(h >> 52);
}

static inline uint32_t estimate_of(const struct estimates *e, uint16_t key)
{
	return atomic_load_explicit(&e->ns[key], memory_order_relaxed);
}

/* A batch took at least and at most this long, in nanoseconds. */
void estimate_learn(struct estimates *estimates, const struct batch *batch, uint64_t least, uint64_t most);

/* Adds a batch to one before it. */
void batch_merge(struct batch *into, const struct batch *batch);

/* Adds a launch to a batch. */
void batch_add(struct batch *batch, uint16_t key, uint64_t cost);

#endif
