/* Waiting for what was promised: see promise.h. */
#include "promise.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "self.h"

/* A message may have been lost, or the agent: who waits says so again after this long. */
#define SAY_EVERY 200000000ull
/* Others of the container may have freed some, of which nobody is told. */
#define LOOK_EVERY 50000000u

void promise_wait(struct self *self, uint32_t rule, uint64_t bytes)
{
	const struct timespec look = {0, LOOK_EVERY};
	uint64_t said = 0;

	ledger_lack(&self->ledger, rule, bytes, true);
	for (;;) {
		/* An agent that comes back has other rules. */
		const struct weir_rules *rules = atomic_load(&self->pages)->rules;
		uint32_t raised = atomic_load(&rules->raised);
		if (!ledger_lacks(&self->ledger, rule, bytes))
			break;
		if (swap_closed(self)) {
			swap_wait(self);
			continue;
		}
		uint64_t now = self_now();
		if (said == 0 || now - said > SAY_EVERY) {
			self_send(self, WEIR_LACKS, rule, 0);
			said = now;
		}
		syscall(SYS_futex, &rules->raised, FUTEX_WAIT, raised, &look, NULL, 0);
	}
	ledger_lack(&self->ledger, rule, bytes, false);
}
