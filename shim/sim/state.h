/*
 * The state of the simulated devices: one file, mapped by every process of the
 * machine that uses them. All of it is zero in the beginning but the first
 * 2112 bytes (magic to info), so that anybody can make one: write those, make
 * the file sizeof(struct sim_state) long, and rename it to DIR/state.
 *
 * Memory is counted for each process in its slot, under the lock; nobody keeps
 * a sum that a dying process could leave wrong. Who has died is told by the
 * kernel: a process locks its slot's byte of DIR/lock for as long as it lives
 * (F_OFD_GETLK of byte 1 + slot finds it), and that of DIR/pids, by which the
 * kernel says which process it is (F_GETLK of byte slot).
 */
#ifndef WEIR_SIM_STATE_H
#define WEIR_SIM_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SIM_MAGIC "WEIRSIM"
#define SIM_VERSION 1u
#define SIM_DEVICES 16
#define SIM_SLOTS 512
#define SIM_RUNS 4096

#define SIM_DEFAULT_DIR "/run/weir/sim"
#define SIM_DEFAULT_DEVICES "1x80GiB"

struct sim_info {
	uint64_t memory; /* bytes */
	char name[48];
	uint8_t uuid[16];
	uint64_t reserved[7];
};

/* A stretch of time in which a device worked for one process, or will. */
struct sim_run {
	_Atomic uint64_t start, end; /* CLOCK_MONOTONIC, nanoseconds */
	_Atomic uint32_t slot;
	uint32_t reserved;
};

struct sim_device {
	_Atomic uint64_t tail;      /* when all that is queued has run */
	_Atomic uint64_t engine[2]; /* the same of copies to the device, and from it */
	_Atomic uint64_t next;      /* runs so far; the newest SIM_RUNS are kept */
	uint64_t reserved[4];
	struct sim_run run[SIM_RUNS];
};

/* What one process has of one device. */
struct sim_use {
	_Atomic uint64_t used;   /* bytes */
	_Atomic uint64_t busy;   /* nanoseconds of all that was launched */
	_Atomic uint64_t tail;   /* when its last launch will have run */
	_Atomic uint64_t kernel; /* how long its last launch takes */
	_Atomic uint64_t contexts;
	uint64_t reserved[3];
};

struct sim_slot {
	_Atomic uint64_t taken;
	uint64_t reserved[7];
	struct sim_use use[SIM_DEVICES];
};

struct sim_state {
	char magic[8];
	uint32_t version, devices;
	uint64_t reserved[6];
	struct sim_info info[SIM_DEVICES];
	struct sim_device device[SIM_DEVICES];
	struct sim_slot slot[SIM_SLOTS];
};

_Static_assert(sizeof(struct sim_info) == 128, "sim_info");
_Static_assert(sizeof(struct sim_use) == 64, "sim_use");
_Static_assert(sizeof(struct sim_state) == 2133056, "sim_state");

extern struct sim_state *state; /* NULL until state_open */
extern int state_slot;          /* this process', -1 until state_join */

/* Opens, and makes if nobody has. False where that is impossible; errno says why. */
bool state_open(void);
/* Takes a slot. False where all are taken. */
bool state_join(void);
/* In the child of a fork: gives up what belongs to the parent. */
void state_forked(void);
/* The folder, and a file in it. */
const char *state_dir(void);
int state_path(char *out, size_t size, const char *file);

void state_lock(void);
void state_unlock(void);

/* Takes bytes of a device for this process; false where they are not there. */
bool state_charge(int device, uint64_t bytes);
void state_discharge(int device, uint64_t bytes);
/* Bytes in use by processes that live. */
uint64_t state_used(int device);

bool state_alive(int slot);
/* The process of a slot as the caller may name it; 0 where it is in a namespace that the caller does not see. */
pid_t state_pid(int slot);
/* Forgets processes that have died. */
void state_reap(void);

/* Reads "2x80GiB,1x40GiB" into info; the number of devices, or -1. */
int devices_parse(const char *text, struct sim_info *info);

static inline uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The timeline: now, and a launch or a copy of a known length that may begin when it is ready. Both say the end. */
uint64_t timeline_now(void);
uint64_t timeline_run(int device, uint64_t ready, uint64_t length);
uint64_t timeline_copy(int device, bool to_device, uint64_t ready, uint64_t length);
/* Takes from a device's queue what a process left that has died. */
void timeline_cut(int dead);
/* Nanoseconds between two times in which a device worked; for one slot, or for all (-1). */
uint64_t timeline_busy(int device, int slot, uint64_t from, uint64_t to);
/* From when on runs are known: the time given, or a later one. */
uint64_t timeline_since(int device, uint64_t from);

#endif
