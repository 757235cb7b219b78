/* The leases of the test agent: the simplest arbiter that keeps shares. */
#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

#define LEASE 60000000ull
#define LEAST (LEASE / 2) /* a shorter lease is not worth giving: it would be all hand-over */
#define FAR 500000000ull

static struct {
	struct container *holder;
	uint64_t begin, idle_from;
	uint32_t lease;
	bool ending;
} device;
static uint64_t began_at;

static struct weir_rule *rule(struct container *c)
{
	return &c->rules->device[0];
}

static void move_gate(struct container *c, uint32_t to)
{
	atomic_store(&rule(c)->gate, to);
	syscall(SYS_futex, &rule(c)->gate, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static bool hungry(struct container *c)
{
	for (int i = 0; i < c->clients; i++)
		if (atomic_load(&c->cells->cell[c->client[i].cell].device[0].hungry))
			return true;
	return false;
}

static bool others_hungry(const struct container *c)
{
	for (int i = 0; i < container_count; i++)
		if (&containers[i] != c && hungry(&containers[i]))
			return true;
	return false;
}

/* Whether all that was launched in the lease is done; `any` when something was. */
static bool all_done(struct container *c, uint32_t lease, bool *any)
{
	bool done = true;
	*any = false;
	for (int i = 0; i < c->clients; i++) {
		struct weir_use *u = &c->cells->cell[c->client[i].cell].device[0];
		if (atomic_load(&u->began) != lease)
			continue;
		*any = true;
		done = done && atomic_load(&u->ended) == lease;
	}
	return done;
}

/* What a strict container may have more by now. */
static int64_t credit(struct container *c, uint64_t t)
{
	int64_t due = (int64_t)((t - began_at) / 1000 * rule(c)->share);
	if (due - (int64_t)c->used > (int64_t)LEASE)
		c->used = (uint64_t)due - LEASE;
	return due - (int64_t)c->used;
}

static void give(struct container *c, uint64_t t, uint64_t length)
{
	device.holder = c;
	device.begin = t;
	device.ending = false;
	device.lease = atomic_load(&rule(c)->gate) + 1;
	atomic_store(&rule(c)->lease_until, t + length);
	move_gate(c, device.lease);
}

/* Gives the free device to somebody; how long until that may be, if not now. */
static uint64_t choose(uint64_t t)
{
	struct container *best = NULL;
	uint64_t wait = FAR;

	for (int i = 0; i < container_count; i++) {
		struct container *c = &containers[i];
		if (!hungry(c))
			continue;
		if (rule(c)->mode == WEIR_STRICT && credit(c, t) < (int64_t)LEAST) {
			uint64_t due = (uint64_t)((int64_t)LEAST - credit(c, t)) / rule(c)->share * 1000 + 10000;
			wait = due < wait ? due : wait;
			continue;
		}
		if (best == NULL || c->used * rule(best)->share < best->used * rule(c)->share)
			best = c;
	}
	if (best == NULL)
		return wait;
	uint64_t length = LEASE;
	if (rule(best)->mode == WEIR_STRICT && credit(best, t) < (int64_t)LEASE)
		length = (uint64_t)credit(best, t);
	give(best, t, length);
	return length;
}

uint64_t arbitrate(void)
{
	uint64_t t = now();
	bool any;

	if (began_at == 0)
		began_at = t;
	if (device.holder == NULL)
		return choose(t);
	struct container *c = device.holder;
	uint64_t until = atomic_load(&rule(c)->lease_until);
	bool done = all_done(c, device.lease, &any);
	if (!device.ending) {
		if (rule(c)->mode == WEIR_FAIR && !done && until < t + LEASE / 2 && !others_hungry(c)) {
			until = t + LEASE;
			atomic_store(&rule(c)->lease_until, until);
		}
		if (t < until && !(any && done) && c->clients > 0)
			return until - t < LEASE / 2 ? until - t : LEASE / 4;
		device.ending = true;
		move_gate(c, device.lease + 1);
		done = all_done(c, device.lease, &any);
	}
	if (!done && t - until < 1000000000ull)
		return 1000000; /* what is done is said on the socket; this is for who dies */
	c->used += t - device.begin;
	device.holder = NULL;
	return choose(t);
}
