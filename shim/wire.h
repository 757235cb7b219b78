/*
 * What the agent and the shim say to each other: two pages of shared memory for
 * each container, and short messages on a socket. node/wire is the same in Go,
 * and its tests compare the two.
 *
 * Every word has one writer. `rules` is written by the agent and mapped
 * read-only by the container (the memory is sealed against anything else);
 * `cells` has one cell for each process of the container, written by that
 * process alone. Nobody takes a lock that another process holds, so nobody who
 * dies keeps one.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC, memory is in bytes, shares are in
 * thousandths of a device's time.
 */
#ifndef WEIR_WIRE_H
#define WEIR_WIRE_H

#include <stdatomic.h>
#include <stdint.h>

#define WEIR_MAGIC 0x52494557u /* "WEIR" */
#define WEIR_VERSION 3u
#define WEIR_DEVICES 16
#define WEIR_CELLS 256

/* The socket is here in a container; where nothing is, it is at $WEIR_SOCKET. A container is given the folder, not the
 * socket alone: an agent that comes back makes a new one. Where there is no socket nothing is limited; where there is
 * one and nobody answers, a process that begins waits and is then refused. */
#define WEIR_SOCKET_PATH "/run/weir/weir.sock"

enum weir_mode {
	WEIR_FREE = 0,   /* launches are not gated */
	WEIR_STRICT = 1, /* never more than the share */
	WEIR_FAIR = 2,   /* the share, and what others leave */
};

/* One device, as the container may use it. */
struct weir_rule {
	/* Of all processes of the container together. The agent raises it while others leave more, and lowers it, also
	 * below what was promised, while others want what is not taken; it reads the cells after that, and whoever
	 * reserves says what it wants before it reads this: so both know of what was taken meanwhile. */
	_Atomic uint64_t memory_limit;
	uint32_t ordinal;      /* the device's number at the driver; where uuid is zero */
	uint32_t share;        /* thousandths */
	uint32_t mode;         /* enum weir_mode */
	/* The gate is a futex word: the number of the lease, odd while one runs.
	 * It changes whenever one begins or ends. */
	_Atomic uint32_t gate;
	_Atomic uint64_t lease_until; /* launches may begin before this; moves ahead while nobody else wants */
	/* Where no agent beats, or the connection has ended: launches may begin where (now % period) is in
	 * [offset, offset + length). period is 0 where they may begin at any time. */
	uint64_t turn_period, turn_offset, turn_length;
	/* The device, whatever number CUDA_VISIBLE_DEVICES gives it in a process. */
	uint8_t uuid[16];
	/* What the container has whenever it asks: beyond the limit, and within this, it says what it lacks and waits.
	 * Where memory can be swapped: such as cannot is taken only while all together is within this. */
	uint64_t memory_promised;
	/* What the driver takes for a context, as long as it was not measured what it took for one. */
	_Atomic uint64_t context_bytes;
	/* What processes of the container have that have no cell: the driver says so. */
	_Atomic uint64_t unseen;
	uint64_t reserved[4];
};

/* What a container is told of its memory: flags of weir_rules. */
#define WEIR_MOVES 1u         /* place may change */
#define WEIR_SWAPPABLE 2u     /* there is an arena: memory that can be swapped is taken so that it can */

struct weir_rules {
	uint32_t magic, version;
	uint32_t devices;             /* rules in use */
	uint32_t idle_after;          /* microseconds without a launch after which a lease is given back */
	_Atomic uint64_t beat;        /* when the agent was last alive; dead after WEIR_DEAD_AFTER */
	/* Where all of its memory is to be: with the host where odd. It grows with each change, and is a futex word. */
	_Atomic uint32_t place;
	uint32_t flags;
	_Atomic uint32_t raised; /* grows whenever a limit was raised for who waits for it, and is a futex word */
	uint32_t unused;
	uint64_t reserved[3];
	struct weir_rule device[WEIR_DEVICES];
	_Atomic uint8_t live[WEIR_CELLS]; /* cells that count: those of processes that have not ended */
	_Atomic uint32_t pid[WEIR_CELLS]; /* of these, as the driver numbers them; 0: nobody's */
	/* What a process has of a device beyond what its cell charges, by the driver's word: the number of its contexts
	 * when that was seen in the upper bits, the bytes in the others. weir_beyond reads it. */
	_Atomic uint64_t beyond[WEIR_DEVICES][WEIR_CELLS];
};

#define WEIR_BEYOND_BITS 56

#define WEIR_DEAD_AFTER 2000000000ull

/* What one process has of one device. */
struct weir_use {
	_Atomic uint64_t charged;  /* bytes that it has */
	_Atomic uint64_t wanted;   /* bytes that it is about to have; 0 when it is not reserving */
	_Atomic uint64_t launches; /* so far */
	_Atomic uint64_t busy;     /* nanoseconds in which it had work on the device, so far */
	/* The last lease in which it launched: written before the gate is read again, and only then does it launch. */
	_Atomic uint32_t began;
	/* The last lease that it gave back, its work done. It may take it up again (ended is then 0) while the gate
	 * stands: so an agent ends a lease by moving the gate, and reads ended after that. */
	_Atomic uint32_t ended;
	_Atomic uint32_t hungry;   /* it waits for a lease */
	_Atomic uint32_t contexts; /* that it has there */
	_Atomic uint64_t swappable; /* of charged: what can be swapped out */
	_Atomic uint64_t swapped;   /* of that: what is with the host, and takes nothing of the device */
};

struct weir_cell {
	struct weir_use device[WEIR_DEVICES];
	_Atomic uint32_t placed; /* the last place of the rules that all of its memory has reached */
	_Atomic uint32_t asleep; /* it waits for its memory */
	/* It grows with each change of what is charged or swapped: who finds it the same before and after something else
	 * knows that nothing was changed meanwhile. */
	_Atomic uint32_t changes;
	_Atomic uint32_t pid; /* as the process itself knows it */
	uint64_t reserved[6];
	_Atomic uint32_t lacks[WEIR_DEVICES]; /* of each device: chunks of what was promised that it waits for */
};

struct weir_cells {
	struct weir_cell cell[WEIR_CELLS];
};

/*
 * What the driver takes of a device for a process beyond what its cell charges:
 * contexts, modules, what it rounds up. It is what was measured, and what is
 * expected of the contexts that were made since.
 */
static inline uint64_t weir_beyond(const struct weir_rules *rules, const struct weir_cells *cells, uint32_t device,
				   uint32_t cell)
{
	uint64_t word = atomic_load(&rules->beyond[device][cell]), bytes = word & ((1ull << WEIR_BEYOND_BITS) - 1);
	uint64_t then = word >> WEIR_BEYOND_BITS, each = atomic_load(&rules->device[device].context_bytes), more;
	uint64_t contexts = atomic_load(&cells->cell[cell].device[device].contexts);

	if (contexts < then)
		return bytes > (then - contexts) * each ? bytes - (then - contexts) * each : 0;
	if (__builtin_mul_overflow(contexts - then, each, &more) || __builtin_add_overflow(bytes, more, &bytes))
		return UINT64_MAX;
	return bytes;
}

/*
 * The arena of a container: memory of the host, taken and touched by the agent
 * beforehand, for all that can be swapped. It begins with the journal, a slot
 * for each chunk. Each chunk of a process's swappable memory has its slot from
 * the moment it is taken, so that there is always room for it.
 *
 * A process writes the slots that it owns. Its name there is a number of its
 * own: it holds the lock of that byte of the file (F_SETLK) for as long as it
 * lives. Whoever gets the lock of a name knows that its process has ended, and
 * may free its slots while it holds it; nobody ever waits for one.
 *
 * One of the two copies of a chunk is whole at every instant: that of the device
 * where it is RESIDENT or COPYING_OUT, and that of the host otherwise. The
 * device's is given up after HOST is written, and the host's is out of date only
 * after RESIDENT is.
 */
#define WEIR_CHUNK (2ull << 20)
#define WEIR_OWNERS 4096 /* names are below */

enum weir_copy {
	WEIR_RESIDENT = 0,
	WEIR_COPYING_OUT = 1,
	WEIR_HOST = 2,
	WEIR_COPYING_IN = 3,
};

struct weir_slot {
	_Atomic uint32_t owner; /* 0: nobody's */
	_Atomic uint32_t state; /* enum weir_copy */
	uint64_t address;       /* of the chunk, for its process */
};

struct weir_arena {
	uint32_t magic, version;
	uint32_t chunks;         /* and as many slots */
	_Atomic uint32_t ready;  /* the agent has touched all of it */
	uint64_t start;          /* where the first chunk's bytes are in the file */
	uint64_t reserved[5];
	struct weir_slot slot[]; /* of each chunk */
};

/*
 * Messages are one packet each (SOCK_SEQPACKET), in the machine's own order of
 * bytes: both ends are on one machine. The connection is the process: when it
 * ends, the process has.
 */
enum weir_message_type {
	/* shim: magic in device, version in lease; text is WEIR_ONLY_LOOKS where it takes no memory; cell is 0, or 1
	 * more than the cell that it had at an agent before: then the descriptor of those cells comes with it, and
	 * behind it that of the arena if it has one. */
	WEIR_HELLO = 1,
	/* agent: cell, all zero or what this process had, and live already; with it come the descriptors of rules
	 * and cells, and of the arena if there is one that the process does not have. The shim writes what it has
	 * into the cell. */
	WEIR_WELCOME = 2,
	WEIR_REFUSED = 3, /* agent: text says why */
	/* shim: device, and the lease in which it still has work, or 0; it is hungry. Work that does not end while
	 * it is hungry may be waiting for just that launch: such a lease is to be made longer. */
	WEIR_WANT = 4,
	WEIR_DONE = 5,    /* shim: device, lease; its work of that lease is done */
	WEIR_PLACED = 6,  /* shim: the place in lease is reached */
	WEIR_ASLEEP = 7,  /* shim: it waits for its memory */
	WEIR_UNMOVED = 8, /* shim: the place in lease cannot be reached, and text says why; its memory is on the device */
	WEIR_LACKS = 9,   /* shim: device; it waits for memory that was promised */
};

#define WEIR_ONLY_LOOKS "looks"

struct weir_message {
	uint32_t type;   /* enum weir_message_type */
	uint32_t device; /* index into rules.device */
	uint32_t lease;  /* number of the lease: the gate while it ran */
	uint32_t cell;
	char text[112]; /* ends with a zero byte */
};

_Static_assert(sizeof(struct weir_rule) == 128, "a rule has 128 bytes");
_Static_assert(sizeof(struct weir_use) == 64, "a use has 64 bytes");
_Static_assert(sizeof(struct weir_slot) == 16, "a slot has 16 bytes");
_Static_assert(sizeof(struct weir_arena) == 64, "an arena begins with 64 bytes");
_Static_assert(sizeof(struct weir_message) == 128, "a message has 128 bytes");

#endif
