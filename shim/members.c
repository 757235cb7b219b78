/* What a process that the agent holds asks of itself: which rule is of which device, and messages. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "self.h"

static bool is_zero(const uint8_t uuid[16])
{
	static const uint8_t zero[16];
	return memcmp(uuid, zero, sizeof zero) == 0;
}

/* Which rule speaks of this device of the driver: the one that names it, or its number. */
static int find_rule(const struct weir_rules *rules, int ordinal, bool *certain)
{
	uint8_t uuid[16];
	bool known = self_driver.uuid != NULL && self_driver.uuid(ordinal, uuid);

	for (uint32_t i = 0; i < rules->devices; i++) {
		const struct weir_rule *r = &rules->device[i];
		if (is_zero(r->uuid) ? r->ordinal == (uint32_t)ordinal : known && memcmp(r->uuid, uuid, 16) == 0)
			return (int)i;
		if (!is_zero(r->uuid) && !known)
			*certain = false;
	}
	return -1;
}

static void learn_ordinals(struct self *self)
{
	const struct weir_rules *rules = atomic_load(&self->pages)->rules;
	bool certain = true;

	for (int i = 0; i < (int)sizeof self->rule_of; i++) {
		bool sure = true;
		int rule = find_rule(rules, i, &sure);
		atomic_store(&self->rule_of[i], (uint8_t)(rule + 1));
		/* Beyond the last device nothing has a name. */
		if (i == 0)
			certain = sure;
	}
	atomic_store(&self->ordinals_known, certain);
}

int self_rule(struct self *self, int ordinal)
{
	if (ordinal < 0 || ordinal >= (int)sizeof self->rule_of)
		return -1;
	if (!atomic_load(&self->ordinals_known))
		learn_ordinals(self);
	return atomic_load(&self->rule_of[ordinal]) - 1;
}

void self_wake(struct self *self)
{
	uint64_t one = 1;
	if (syscall(SYS_write, self->wake, &one, sizeof one) < 0)
		return; /* it is awake already */
}

static void deliver(struct self *self, struct weir_message *m)
{
	m->cell = atomic_load(&self->pages)->cell;
	pthread_mutex_lock(&self->hello);
	if (self->connected &&
	    syscall(SYS_sendto, self->socket, m, sizeof *m, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) < 0) /* see nap.h */
		self_debug("a message to the agent was lost");
	pthread_mutex_unlock(&self->hello);
}

void self_send(struct self *self, uint32_t type, uint32_t device, uint32_t lease)
{
	deliver(self, &(struct weir_message){.type = type, .device = device, .lease = lease});
}

void self_tell(struct self *self, uint32_t type, uint32_t lease, const char *text)
{
	struct weir_message m = {.type = type, .lease = lease};

	snprintf(m.text, sizeof m.text, "%s", text);
	deliver(self, &m);
}
