/* Lending as meanly as an agent may: whoever has not taken what was promised to it has none of it until it says so. */
#include "agent.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_EVERY 500000u

struct sum {
	uint64_t charged, wanted, lacks;
};

/* A wish is read before the charge that it becomes. */
static struct sum add_up(const struct container *c, uint32_t device)
{
	struct sum s = {0};

	for (uint32_t i = 0; i < WEIR_CELLS; i++) {
		struct weir_use *use = &c->cells->cell[i].device[device];
		if (!atomic_load(&c->rules->live[i]))
			continue;
		s.lacks += (uint64_t)atomic_load(&c->cells->cell[i].lacks[device]) * WEIR_CHUNK;
		s.wanted += atomic_load(&use->wanted);
		s.charged += atomic_load(&use->charged);
	}
	return s;
}

static void lower(struct container *c, struct weir_rule *r, uint32_t device)
{
	uint64_t limit = atomic_load(&r->memory_limit);

	atomic_store(&r->memory_limit, 0);
	struct sum s = add_up(c, device);
	/* Of several processes, bytes that go from one to another may be counted twice. */
	if (c->clients == 1 && s.charged > limit) {
		fprintf(stderr, "agent: %llu bytes are taken where the limit was %llu\n", (unsigned long long)s.charged,
			(unsigned long long)limit);
		abort();
	}
	limit = s.charged + s.wanted;
	atomic_store(&r->memory_limit, limit < r->memory_promised ? limit : r->memory_promised);
}

static void raise_limit(struct container *c, struct weir_rule *r, struct sum s)
{
	uint64_t limit = s.charged + s.wanted + s.lacks;

	atomic_store(&r->memory_limit, limit < r->memory_promised ? limit : r->memory_promised);
	atomic_fetch_add(&c->rules->raised, 1);
	syscall(SYS_futex, &c->rules->raised, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void look(struct container *c, uint32_t device)
{
	struct weir_rule *r = &c->rules->device[device];
	struct sum s = add_up(c, device);

	if (s.lacks == 0) {
		c->asked = 0;
		lower(c, r, device);
		return;
	}
	if (c->asked == 0)
		c->asked = now();
	if (now() - c->asked >= c->patience)
		raise_limit(c, r, s);
}

uint64_t lend(void)
{
	uint64_t again = UINT_MAX;

	for (int i = 0; i < container_count; i++) {
		struct container *c = &containers[i];
		for (uint32_t d = 0; c->lends && d < c->rules->devices; d++) {
			look(c, d);
			again = LOOK_EVERY;
		}
	}
	return again;
}
