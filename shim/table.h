/*
 * What this process has had from the driver, by address or handle: how much was
 * charged for it and where, so that it can be given back. One lock and a hash
 * table with open addressing; zero is an empty one.
 */
#ifndef WEIR_TABLE_H
#define WEIR_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry {
	uint64_t key;	 /* never 0 */
	uint64_t bytes;	 /* charged */
	uint64_t owner;	 /* context, pool or handle that it goes with; 0: none */
	uint32_t device; /* index into the rules */
	uint32_t count;	 /* references */
};

struct table {
	pthread_mutex_t lock;
	struct entry *slots;
	size_t size; /* a power of two */
	size_t used;
};

/* Puts an entry in, over one of the same key; false when there is no memory for it. */
bool table_put(struct table *table, struct entry entry);

/* Reads an entry. */
bool table_get(struct table *table, uint64_t key, struct entry *entry);

/* Takes an entry out. */
bool table_take(struct table *table, uint64_t key, struct entry *entry);

/* Adds to an entry's references; at zero it is taken out, and `entry` is what it was. True when it was there. */
bool table_count(struct table *table, uint64_t key, int add, struct entry *entry);

/* Adds bytes to an entry, made if it is not there. */
bool table_add(struct table *table, uint64_t key, uint64_t bytes, uint32_t device);

/* Reads the entries one by one, from `*at`, which begins as 0; false behind the last. Nobody writes meanwhile. */
bool table_next(struct table *table, size_t *at, struct entry *entry);

/* Takes out some entry of this owner; false when there is none. */
bool table_take_of(struct table *table, uint64_t owner, struct entry *entry);

#endif
