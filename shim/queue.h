/*
 * What this process has put on its devices and is not done: so that no more
 * than a few milliseconds of work are ahead of the device, and so that the end
 * of all work is known without stopping anybody. After every so many launches
 * an event is recorded in the stream, a mark; a stream has a slot.
 */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include <pthread.h>

#include "abi/cuda.h"
#include "estimate.h"
#include "table.h"

/* Work that may be ahead in one stream, in nanoseconds; and what a launch is taken for that was never seen. */
#define QUEUE_WINDOW 5000000ull
#define QUEUE_UNKNOWN (2 * QUEUE_WINDOW)

#define QUEUE_BUCKETS 256
#define SLOT_MARKS 8

struct mark {
	CUevent event;
	struct batch batch;
};

struct slot {
	pthread_mutex_t lock; /* held across a launch: a stream takes one at a time anyway */
	CUstream stream;
	CUcontext ctx;
	const void *thread; /* of whom it is the default stream; NULL for any other */
	bool used;	    /* the stream exists */
	bool dirty;	    /* something was launched behind the last mark */
	bool stuck;	    /* work waits for something that is not launched yet: do not wait for it */
	_Atomic uint32_t device; /* is read without the lock */
	uint64_t ahead; /* what the work that is not known to be done was thought to take */
	uint64_t last_done; /* when the last mark was seen to be done */
	uint64_t not_done;  /* when a mark was last seen not to be */
	uint64_t before;    /* the same of the mark that was done last */
	struct batch batch; /* behind the last mark */
	struct mark marks[SLOT_MARKS];
	uint32_t first, count; /* marks in use, a ring */
	struct slot *next;     /* of its bucket; slots are used again, never freed */
};

struct queue {
	pthread_mutex_t lock; /* of finding and making slots */
	_Atomic(struct slot *) bucket[QUEUE_BUCKETS];
	_Atomic uint32_t generation; /* changes when a slot may have become another stream's */
	_Atomic int captures;	     /* streams that are being captured, or about to be */
	struct table capturing;	     /* those in which a capture was begun, by its context */
	_Atomic uint64_t accounted;  /* the time up to which work is counted as busy */
	struct estimates estimates;
};

/* A launch, as the queue sees it. */
struct launch {
	const void *what; /* function or graph */
	uint64_t threads;
	CUstream stream;
	bool second_form; /* the default stream is the thread's own */
};

struct self;

/* The slot of a launch's stream, locked, with room in it and its gate open; NULL where launches are free. */
struct slot *queue_enter(struct self *self, const struct launch *launch);

/* The launch was made, or not; unlocks the slot. */
void queue_leave(struct self *self, struct slot *slot, const struct launch *launch, bool launched);

/* Whether all work on the device is done. It waits for nobody: who holds a slot is about to launch, or has work ahead. */
bool queue_idle(struct queue *queue, uint32_t device);

/* Whether the launch is recorded for later, not made: its stream is being captured. */
bool queue_captured(struct queue *queue, CUstream stream, bool second_form);

/* A capture is about to begin: work before it is marked now, as it cannot be later. It has begun, or not. Its stream is
 * not captured any more: it has ended, or the stream is gone; false for one that no capture was begun in. */
void queue_before_capture(struct queue *queue);
void queue_capture_began(struct queue *queue, CUstream stream, bool second_form, bool began);
bool queue_capture_ended(struct queue *queue, CUstream stream, bool second_form);

/* A stream is about to be destroyed. Its work may go on. */
void queue_forget_stream(struct queue *queue, CUstream stream);

/* Nobody uses a context while it is being destroyed; `gone` says whether it was. */
void queue_freeze(struct queue *queue, CUcontext ctx);
void queue_thaw(struct queue *queue, CUcontext ctx, bool gone);

#endif
