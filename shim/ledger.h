/*
 * The memory of a container, counted by all of its processes together: how one
 * of them reserves bytes without a lock that others hold, and never above the
 * limit. docs/designs/0006-node.md has the protocol, and why it is right.
 */
#ifndef WEIR_LEDGER_H
#define WEIR_LEDGER_H

#include <pthread.h>
#include <stdbool.h>

#include "wire.h"

struct ledger {
	pthread_mutex_t lock; /* of the threads of this process: they share a cell */
	const struct weir_rules *rules;
	struct weir_cells *cells;
	uint32_t cell;
};

enum ledger_answer {
	LEDGER_NO = 0,
	LEDGER_YES = 1,
	LEDGER_LATER = 2, /* they were promised, and others have them: they are to be waited for */
};

/* Takes the bytes from the device's limit, if they fit. Memory that can be swapped has a limit of its own, which may be
 * more than what is promised. */
enum ledger_answer ledger_reserve(struct ledger *ledger, uint32_t device, uint64_t bytes);
enum ledger_answer ledger_reserve_swappable(struct ledger *ledger, uint32_t device, uint64_t bytes);

/* Says that somebody waits for so many bytes more, or less; and whether there is anything to wait for still: the bytes
 * are within what was promised, and beyond the limit. */
void ledger_lack(struct ledger *ledger, uint32_t device, uint64_t bytes, bool waits);
bool ledger_lacks(struct ledger *ledger, uint32_t device, uint64_t bytes);

/* What a context is expected to take. Takes that for one, and gives it back when there is one less: what it really takes
 * is measured by the agent, and is in all sums from then on. */
uint64_t ledger_context(struct ledger *ledger, uint32_t device);
enum ledger_answer ledger_reserve_context(struct ledger *ledger, uint32_t device, uint64_t bytes);
void ledger_release_context(struct ledger *ledger, uint32_t device);

/* Takes the bytes unasked: the driver has them already, and nothing can be undone. */
void ledger_force(struct ledger *ledger, uint32_t device, uint64_t bytes);

/* Gives bytes back. */
void ledger_release(struct ledger *ledger, uint32_t device, uint64_t bytes);

/* Of what is charged, so many bytes more can be swapped, and so many more are with the host. */
void ledger_swap(struct ledger *ledger, uint32_t device, int64_t swappable, int64_t swapped);

/* What the container has of the device, and no more than it may have at that moment. */
uint64_t ledger_used(struct ledger *ledger, uint32_t device, uint64_t *limit);

/* What may be had of the device: what was promised, or a limit above that. It may be another when it is read again. */
uint64_t ledger_limit(struct ledger *ledger, uint32_t device);

/* Goes on in other pages, with all that this process has. */
void ledger_move(struct ledger *ledger, const struct weir_rules *rules, struct weir_cells *cells, uint32_t cell);

#endif
