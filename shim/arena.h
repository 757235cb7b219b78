/*
 * This process's part of the container's arena: its slots in the journal, and
 * the bytes that are with the host. wire.h has how the arena lies in memory.
 */
#ifndef WEIR_ARENA_H
#define WEIR_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct arena {
	struct weir_arena *at; /* NULL: there is none */
	size_t bytes;
	/* As they were when it was mapped, and right: others of the container can write what they like where these stand. */
	uint32_t chunks;
	uint64_t start;
	int fd;		/* is kept open: by it the process has its name */
	uint32_t owner; /* this process's name in the journal */
	uint32_t hint;	/* where to look for a free slot first */
};

/* Maps it and takes a name. The descriptor is the arena's then. */
bool arena_open(struct arena *arena, int fd);

/* Takes a slot for each of the chunks that begin at an address; false when there are too few. One thread at a time. */
bool arena_claim(struct arena *arena, uint64_t address, uint32_t count, uint32_t *slots);
void arena_free(struct arena *arena, uint32_t count, const uint32_t *slots);

/* Writes a line of the journal. */
void arena_state(struct arena *arena, uint32_t slot, enum weir_copy state);

/* Where a slot's bytes are. */
void *arena_bytes(const struct arena *arena, uint32_t slot);

/* Whether the agent has touched all of it: before that, nothing of it is to be touched here. */
bool arena_ready(const struct arena *arena);

#endif
