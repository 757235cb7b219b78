/* A small agent for tests: as many containers as it is told, one arbiter for one device. */
#ifndef WEIR_TEST_AGENT_H
#define WEIR_TEST_AGENT_H

#include <stdbool.h>
#include <stdatomic.h>

#include "../../wire.h"

#define MAX_CLIENTS 64
#define MAX_CONTAINERS 16

struct client {
	int fd;
	uint32_t cell;
};

struct container {
	int listener, rules_fd, cells_fd, arena_fd;
	struct weir_arena *arena;
	struct weir_rules *rules;
	struct weir_cells *cells;
	struct client client[MAX_CLIENTS];
	int clients;
	uint64_t used; /* nanoseconds of leases */
	bool lends;	   /* what it has not taken */
	uint64_t patience; /* how long who wants it back waits for it, in nanoseconds */
	uint64_t asked;	   /* since when somebody waits; 0: nobody does */
};

extern struct container containers[MAX_CONTAINERS];
extern int container_count;

uint64_t now(void);

/* Gives and ends leases of device 0; how long until it is to be called again, in nanoseconds. */
uint64_t arbitrate(void);

/* Lends what containers have not taken, and gives it back; the same. */
uint64_t lend(void);

#endif
