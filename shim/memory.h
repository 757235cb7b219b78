/* What the wrapped calls that take or give back memory have in common. */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include "abi/cuda.h"
#include "promise.h"
#include "self.h"

/* Who asks, and for which device. */
struct holder {
	struct self *self;
	CUcontext ctx;
	CUdevice device;
	uint32_t rule;
};

/* Who asks, if what it takes is to be charged: an agent holds this process, and the rules speak of the
 * device of its context. False when the call is to go to the driver as it is. */
bool memory_holder(struct holder *holder);

/* The same where the device is given. */
bool memory_holder_of(struct holder *holder, CUdevice device);

/* Reserves bytes of memory that stays where it is, if need be after memory pools were trimmed. It waits until the
 * container's memory is on the device, and for what was promised to it. */
bool memory_reserve(const struct holder *holder, uint64_t bytes);

/* The same by a function of the ledger's, without waiting for anything. */
typedef enum ledger_answer memory_reserving(struct ledger *ledger, uint32_t device, uint64_t bytes);
enum ledger_answer memory_ask(struct self *self, uint32_t rule, uint64_t bytes, memory_reserving *from);

/* The same for memory that can be swapped. Its caller sees to the waiting. */
enum ledger_answer memory_reserve_swappable(const struct holder *holder, uint64_t bytes);

/* What somebody else has been told to give up, or has died with, the driver may have a moment later than it should:
 * whether to ask it again, after a pause. */
struct patience {
	uint64_t since;
};
bool memory_again(struct self *self, CUresult result, struct patience *patience);

/* What has been reserved turns out to be `real` bytes: reserves the rest, or gives back. False when it does not fit now:
 * the call is to be undone, and made again with all of it reserved. */
bool memory_correct(const struct holder *holder, uint64_t reserved, uint64_t real);

/* Frees by `call`: what was charged is given back if that succeeds. The entry is out of the table before the driver
 * may give the same address to another thread. */
#define MEMORY_FREE(table, key, call) \
	({ \
		struct self *free_self = real_depth == 0 ? self_member() : NULL; \
		struct entry free_entry; \
		bool free_known = free_self != NULL && table_take(&free_self->table, (uint64_t)(uintptr_t)(key), &free_entry); \
		CUresult free_result = (call); \
		if (free_known && free_result != CUDA_SUCCESS) \
			table_put(&free_self->table, free_entry); \
		else if (free_known) \
			ledger_release(&free_self->ledger, free_entry.device, free_entry.bytes); \
		free_result; \
	})

/* Remembers what was charged for an address, for when it is freed. */
void memory_remember(const struct holder *holder, uint64_t address, uint64_t bytes);

/* All of a context was freed: what was charged for it is given back. */
void memory_context_gone(struct self *self, CUcontext ctx);

#endif
