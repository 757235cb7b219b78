/*
 * What this process is to the agent. All of it lies in one piece of memory that
 * a fork wipes: in a child it is zero, which means "nothing known yet", whatever
 * way the child came to be. The first call that asks for it says hello.
 */
/*
 * Locks, of which nobody waits for one that stands before one that it holds:
 *
 *   making, queue.lock, a slot's, swap.moving, regions.lock, pools.lock, ledger.lock
 *   ticking, a gate's turning, a slot's
 *   swap.lock or a gate's turning, hello, ledger.lock
 *
 * The locks of tables come last. A thread has one slot, but for who destroys a
 * context: it has all of it. With none of them anybody waits for a lease, for
 * memory that was promised, or for its memory to come back.
 */
#ifndef WEIR_SELF_H
#define WEIR_SELF_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "arena.h"
#include "gate.h"
#include "ledger.h"
#include "pools.h"
#include "queue.h"
#include "regions.h"
#include "swap.h"
#include "table.h"
#include "wire.h"

enum self_state {
	SELF_UNKNOWN = 0, /* no hello yet */
	SELF_ALONE,	  /* there is no agent: nothing is limited */
	SELF_MEMBER,	  /* of a container */
	SELF_REFUSED,	  /* the agent does not want it */
};

/* The agent's rules and the cells, as mapped now. A new agent brings new ones;
 * old ones stay mapped, as somebody may still be reading them. */
struct pages {
	const struct weir_rules *rules;
	struct weir_cells *cells;
	uint32_t cell;
	int cells_fd; /* is offered to an agent that comes back */
	int arena_fd; /* so is this; -1 where there is none */
};

struct self {
	_Atomic int state; /* enum self_state */
	pthread_mutex_t hello;
	_Atomic(struct pages *) pages;
	int socket;
	_Atomic bool connected;
	int wake; /* an eventfd: the helper thread has something to do */
	/* The device of the rules, plus 1, for each device of the driver; 0: none. */
	_Atomic uint8_t rule_of[WEIR_DEVICES * 4];
	_Atomic bool ordinals_known;
	pthread_mutex_t ticking; /* held while the helper thread is at the driver */
	struct ledger ledger;
	/* What the process has: by address, by address from memory pools, physical allocations by handle, where
	 * these are mapped, what graphs take, contexts, and the primary ones by device. */
	struct table allocations, asyncs, handles, mappings, graphs, contexts, primaries;
	pthread_mutex_t making; /* of contexts, and their end */
	struct pools pools;
	struct gate gate[WEIR_DEVICES];
	struct queue queue;
	struct arena arena;
	struct regions regions;
	struct swap swap;
};

/* This process, if an agent holds it; NULL if it is free. */
struct self *self_member(void);

/* enum self_state, after a hello if there was none yet. */
int self_state(void);

/* The device's index into the rules, or -1: the rules do not speak of it. */
int self_rule(struct self *self, int ordinal);

/* Tells the helper thread to look. */
void self_wake(struct self *self);

/* Sends a message, if there is an agent; what cannot be sent is lost. */
void self_send(struct self *self, uint32_t type, uint32_t device, uint32_t lease);
void self_tell(struct self *self, uint32_t type, uint32_t lease, const char *text);

/* Starts a thread that no signal of the program's arrives in. */
bool self_thread(void *(*body)(void *), struct self *self);

/* Whether the agent lives: the connection stands, and it beats. */
bool self_agent_alive(struct self *self, const struct weir_rules *rules, uint64_t now);

/* Says something on stderr: to those who debug, or to everybody. */
void self_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void self_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The driver's side gives these; the ledger's tests and NVML's shadow have none of it. */
struct self_driver {
	/* The universal name of a device of the driver; false where it cannot be told. */
	bool (*uuid)(int ordinal, uint8_t uuid[16]);
	/* Called by the helper thread; it answers in how many nanoseconds it should be called again, or UINT64_MAX. */
	uint64_t (*tick)(struct self *self);
	/* Called when an agent has given its rules. Who has none of this takes no memory, and says so in its hello. */
	void (*adopted)(struct self *self, const struct pages *pages);
};
extern const struct self_driver self_driver;

static inline uint64_t self_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

#endif
