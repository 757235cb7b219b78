/* Reserving memory: see ledger.h. */
#include "ledger.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "nap.h"

/* How long a wish of another process may stand before it is counted as a charge: its process
 * was stopped, or killed while no agent lives to notice. */
#define PATIENCE 2000000000ull

/* What is reserved: memory that stays where it is, such as can be swapped, or that of a context. */
enum kind { FIXED, SWAPPABLE, CONTEXT };

struct tally {
	uint64_t charged;	 /* of all cells, and what the driver takes for them beyond that */
	uint64_t beyond;	 /* of that: what no cell charges */
	uint64_t before, behind; /* wishes in cells before and behind our own */
	uint64_t print;		 /* of all single charges: it tells a sum of one moment from one that moved meanwhile */
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Cells are written by others of the container, in whom nobody trusts: a sum does not overflow. */
static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static struct weir_use *own(struct ledger *l, uint32_t device)
{
	return &l->cells->cell[l->cell].device[device];
}

/* A wish is read before the charge that it becomes: it is seen as one or as both, never as neither. */
static struct tally count(struct ledger *l, uint32_t device)
{
	uint64_t unseen = atomic_load(&l->rules->device[device].unseen);
	struct tally t = {.charged = unseen, .beyond = unseen};

	for (uint32_t i = 0; i < WEIR_CELLS; i++) {
		if (!atomic_load(&l->rules->live[i]) && i != l->cell)
			continue;
		struct weir_use *use = &l->cells->cell[i].device[device];
		uint64_t wanted = i == l->cell ? 0 : atomic_load(&use->wanted);
		uint64_t beyond = weir_beyond(l->rules, l->cells, device, i);
		uint64_t charged = add(atomic_load(&use->charged), beyond);
		t.charged = add(t.charged, charged);
		t.beyond = add(t.beyond, beyond);
		t.print = t.print * 1099511628211ull + charged + i;
		if (i < l->cell)
			t.before = add(t.before, wanted);
		else
			t.behind = add(t.behind, wanted);
	}
	return t;
}

static void pause_for_others(unsigned int round)
{
	nap(round < 10 ? 1000 : 100000);
}

/* What is charged or swapped is not what it was, or will not be. */
static void changed(struct ledger *l)
{
	atomic_fetch_add(&l->cells->cell[l->cell].changes, 1);
}

static uint64_t most(const struct ledger *l, uint32_t device, enum kind kind)
{
	const struct weir_rule *rule = &l->rules->device[device];
	uint64_t limit = atomic_load(&rule->memory_limit);

	if (kind != FIXED || !(l->rules->flags & WEIR_SWAPPABLE) || rule->memory_promised > limit)
		return limit;
	return rule->memory_promised;
}

/* What contexts may have in all: where memory can be swapped, what was promised, as they cannot. */
static uint64_t most_beyond(const struct ledger *l, uint32_t device, enum kind kind)
{
	if (kind != CONTEXT || !(l->rules->flags & WEIR_SWAPPABLE))
		return UINT64_MAX;
	return l->rules->device[device].memory_promised;
}

/* Others have what was promised here, and the bytes are within that. */
static bool is_lent(const struct ledger *l, uint32_t device, uint64_t limit, uint64_t charged, uint64_t bytes)
{
	uint64_t promised = l->rules->device[device].memory_promised;
	return limit < promised && add(charged, bytes) <= promised;
}

static enum ledger_answer reserve(struct ledger *l, uint32_t device, uint64_t bytes, enum kind kind)
{
	pthread_mutex_lock(&l->lock);
	struct weir_use *use = own(l, device);
	uint64_t since = 0;
	enum ledger_answer answer = LEDGER_NO;

	for (unsigned int round = 0;; round++) {
		atomic_store(&use->wanted, bytes);
		uint64_t limit = most(l, device, kind), beyond = most_beyond(l, device, kind);
		struct tally t = count(l, device);
		uint64_t wishes = add(bytes, add(t.before, t.behind));
		answer = is_lent(l, device, limit, t.charged, bytes) ? LEDGER_LATER : LEDGER_NO;
		if (add(t.charged, wishes) <= limit && add(t.beyond, wishes) <= beyond)
			answer = LEDGER_YES;
		if (answer == LEDGER_YES)
			break;
		if (add(t.charged, bytes) > limit || add(t.beyond, bytes) > beyond) {
			/* Nobody's wish is to blame. Bytes that moved from one cell to another
			 * while they were added up may be in the sum twice. */
			if (count(l, device).print == t.print)
				break;
			continue;
		}
		if (since == 0)
			since = now();
		else if (now() - since > PATIENCE)
			break;
		/* The first of those who want something goes on, the others make way for it. */
		if (t.before != 0)
			atomic_store(&use->wanted, 0);
		do
			pause_for_others(round);
		while (t.before != 0 && count(l, device).before == t.before && now() - since <= PATIENCE);
	}
	changed(l);
	if (answer == LEDGER_YES && kind == CONTEXT)
		atomic_fetch_add(&use->contexts, 1);
	else if (answer == LEDGER_YES)
		atomic_fetch_add(&use->charged, bytes);
	atomic_store(&use->wanted, 0);
	pthread_mutex_unlock(&l->lock);
	return answer;
}

enum ledger_answer ledger_reserve(struct ledger *l, uint32_t device, uint64_t bytes)
{
	return reserve(l, device, bytes, FIXED);
}

enum ledger_answer ledger_reserve_swappable(struct ledger *l, uint32_t device, uint64_t bytes)
{
	return reserve(l, device, bytes, SWAPPABLE);
}

uint64_t ledger_context(struct ledger *l, uint32_t device)
{
	pthread_mutex_lock(&l->lock);
	uint64_t bytes = atomic_load(&l->rules->device[device].context_bytes);
	pthread_mutex_unlock(&l->lock);
	return bytes;
}

enum ledger_answer ledger_reserve_context(struct ledger *l, uint32_t device, uint64_t bytes)
{
	return reserve(l, device, bytes, CONTEXT);
}

void ledger_release_context(struct ledger *l, uint32_t device)
{
	pthread_mutex_lock(&l->lock);
	_Atomic uint32_t *contexts = &own(l, device)->contexts;
	changed(l);
	if (atomic_load(contexts) > 0)
		atomic_fetch_sub(contexts, 1);
	pthread_mutex_unlock(&l->lock);
}

void ledger_lack(struct ledger *l, uint32_t device, uint64_t bytes, bool waits)
{
	uint32_t chunks = (uint32_t)((bytes + WEIR_CHUNK - 1) / WEIR_CHUNK);

	pthread_mutex_lock(&l->lock);
	atomic_fetch_add(&l->cells->cell[l->cell].lacks[device], waits ? chunks : -chunks);
	pthread_mutex_unlock(&l->lock);
}

bool ledger_lacks(struct ledger *l, uint32_t device, uint64_t bytes)
{
	pthread_mutex_lock(&l->lock);
	uint64_t charged = count(l, device).charged, limit = most(l, device, SWAPPABLE);
	bool lent = add(charged, bytes) > limit && is_lent(l, device, limit, charged, bytes);
	pthread_mutex_unlock(&l->lock);
	return lent;
}

void ledger_force(struct ledger *l, uint32_t device, uint64_t bytes)
{
	pthread_mutex_lock(&l->lock);
	changed(l);
	atomic_fetch_add(&own(l, device)->charged, bytes);
	pthread_mutex_unlock(&l->lock);
}

void ledger_release(struct ledger *l, uint32_t device, uint64_t bytes)
{
	pthread_mutex_lock(&l->lock);
	struct weir_use *use = own(l, device);
	uint64_t charged = atomic_load(&use->charged);
	changed(l);
	/* This process alone writes the word, but for whoever of the container writes what it likes. */
	atomic_store(&use->charged, charged > bytes ? charged - bytes : 0);
	pthread_mutex_unlock(&l->lock);
}

void ledger_swap(struct ledger *l, uint32_t device, int64_t swappable, int64_t swapped)
{
	pthread_mutex_lock(&l->lock);
	changed(l);
	atomic_fetch_add(&own(l, device)->swappable, (uint64_t)swappable);
	atomic_fetch_add(&own(l, device)->swapped, (uint64_t)swapped);
	pthread_mutex_unlock(&l->lock);
}

/* What a program is shown: that others have for now what was promised to it is none of its business. */
static uint64_t shown(const struct ledger *l, uint32_t device)
{
	uint64_t limit = most(l, device, SWAPPABLE), promised = l->rules->device[device].memory_promised;
	return limit > promised ? limit : promised;
}

uint64_t ledger_used(struct ledger *l, uint32_t device, uint64_t *limit)
{
	pthread_mutex_lock(&l->lock);
	struct tally t = count(l, device);
	for (int again = 0; again < 100; again++) {
		struct tally next = count(l, device);
		if (next.print == t.print)
			break;
		t = next;
	}
	*limit = shown(l, device);
	pthread_mutex_unlock(&l->lock);
	return t.charged < *limit ? t.charged : *limit;
}

uint64_t ledger_limit(struct ledger *l, uint32_t device)
{
	pthread_mutex_lock(&l->lock);
	uint64_t limit = shown(l, device);
	pthread_mutex_unlock(&l->lock);
	return limit;
}

void ledger_move(struct ledger *l, const struct weir_rules *rules, struct weir_cells *cells, uint32_t cell)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t d = 0; l->cells != NULL && d < WEIR_DEVICES; d++) {
		struct weir_use *from = own(l, d), *to = &cells->cell[cell].device[d];
		if (from == to)
			continue;
		atomic_store(&to->charged, atomic_load(&from->charged));
		atomic_store(&to->contexts, atomic_load(&from->contexts));
		atomic_store(&to->launches, atomic_load(&from->launches));
		atomic_store(&to->busy, atomic_load(&from->busy));
		atomic_store(&to->swappable, atomic_load(&from->swappable));
		atomic_store(&to->swapped, atomic_load(&from->swapped));
		atomic_store(&cells->cell[cell].lacks[d], atomic_load(&l->cells->cell[l->cell].lacks[d]));
	}
	l->rules = rules;
	l->cells = cells;
	l->cell = cell;
	atomic_store(&cells->cell[cell].pid, (uint32_t)getpid());
	changed(l);
	pthread_mutex_unlock(&l->lock);
}
