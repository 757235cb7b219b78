/*
 * The ledger without a driver: processes that hammer one limit, some of which
 * are killed. Usage: ledger_test PROCESSES ROUNDS. Each process takes and gives
 * back bytes at random; a watcher adds up what the driver would have given,
 * counted apart from the ledger.
 */
#include "../../ledger.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT 1000ull

struct world {
	struct weir_rules rules;
	struct weir_cells cells;
	_Atomic int64_t given; /* by the driver, to processes that live */
	_Atomic int64_t most;
	_Atomic uint64_t refused, taken;
};

static struct world *world;

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "failed: %s\n", what);
	exit(1);
}

static void note(int64_t bytes)
{
	int64_t is = atomic_fetch_add(&world->given, bytes) + bytes, most = atomic_load(&world->most);
	while (is > most && !atomic_compare_exchange_weak(&world->most, &most, is))
		;
}

static void hammer(uint32_t cell, int rounds)
{
	struct ledger l = {PTHREAD_MUTEX_INITIALIZER, &world->rules, &world->cells, cell};
	uint64_t has[8] = {0};

	srand(cell + 1);
	for (int i = 0; i < rounds; i++) {
		int k = rand() % 8;
		if (has[k] != 0) {
			note(-(int64_t)has[k]);
			ledger_release(&l, 0, has[k]);
			has[k] = 0;
			continue;
		}
		uint64_t bytes = 1 + (uint64_t)rand() % 300;
		if (!ledger_reserve(&l, 0, bytes)) {
			atomic_fetch_add(&world->refused, 1);
			continue;
		}
		note((int64_t)bytes);
		atomic_fetch_add(&world->taken, 1);
		has[k] = bytes;
	}
	for (int k = 0; k < 8; k++) {
		note(-(int64_t)has[k]);
		ledger_release(&l, 0, has[k]);
	}
	exit(0);
}

/* One process alone: exactly the limit, and never a refusal of what fits. */
static void alone(void)
{
	struct ledger l = {PTHREAD_MUTEX_INITIALIZER, &world->rules, &world->cells, 3};
	uint64_t limit;

	atomic_store(&world->rules.live[3], 1);
	for (uint64_t i = 0; i < LIMIT; i++)
		expect(ledger_reserve(&l, 0, 1), "what fits is given");
	expect(!ledger_reserve(&l, 0, 1), "what does not fit is refused");
	expect(ledger_used(&l, 0, &limit) == LIMIT && limit == LIMIT, "all of it is used");
	ledger_release(&l, 0, LIMIT);
	expect(!ledger_reserve(&l, 0, UINT64_MAX), "no sum overflows");
	expect(ledger_used(&l, 0, &limit) == 0, "nothing is left");
	/* A wish that stands still counts as a charge after a while. */
	atomic_store(&world->rules.live[1], 1);
	atomic_store(&world->cells.cell[1].device[0].wanted, LIMIT);
	expect(!ledger_reserve(&l, 0, 1), "a wish that stands still");
	atomic_store(&world->rules.live[1], 0);
	expect(ledger_reserve(&l, 0, LIMIT), "the wish of a process that has ended counts no more");
	ledger_release(&l, 0, LIMIT);
}

/* What was promised and is lent to others is neither given nor refused, and there is nothing to be seen of that. */
static void lent(void)
{
	struct ledger l = {PTHREAD_MUTEX_INITIALIZER, &world->rules, &world->cells, 3};
	struct weir_rule *r = &world->rules.device[0];
	const _Atomic uint32_t *lacks = &world->cells.cell[3].lacks[0];
	uint64_t limit;

	r->memory_promised = LIMIT;
	atomic_store(&r->memory_limit, LIMIT / 4);
	expect(ledger_reserve(&l, 0, LIMIT / 4) == LEDGER_YES, "what is not lent is given");
	expect(ledger_reserve(&l, 0, LIMIT / 4) == LEDGER_LATER, "what is lent is to be waited for");
	expect(ledger_reserve(&l, 0, LIMIT) == LEDGER_NO, "more than was promised is refused");
	expect(ledger_used(&l, 0, &limit) == LIMIT / 4 && limit == LIMIT, "what was promised is shown");
	ledger_lack(&l, 0, WEIR_CHUNK + 1, true);
	expect(atomic_load(lacks) == 2, "chunks are counted");
	expect(ledger_lacks(&l, 0, LIMIT / 4), "it is waited for");
	atomic_store(&r->memory_limit, LIMIT);
	expect(!ledger_lacks(&l, 0, LIMIT / 4), "it is there");
	ledger_lack(&l, 0, WEIR_CHUNK + 1, false);
	expect(atomic_load(lacks) == 0, "nobody waits");
	expect(ledger_reserve(&l, 0, LIMIT) == LEDGER_NO, "all is taken");
	ledger_release(&l, 0, LIMIT / 4);
	atomic_store(&world->rules.live[3], 0);
	r->memory_promised = 0;
}

/* Several at once, half of whom are killed: as an agent does, their cells are taken out when they have ended. */
static void together(int processes, int rounds, bool killing)
{
	pid_t pids[WEIR_CELLS];

	for (int i = 0; i < processes; i++) {
		memset(&world->cells.cell[i], 0, sizeof world->cells.cell[i]);
		atomic_store(&world->rules.live[i], 1);
		pids[i] = fork();
		if (pids[i] == 0)
			hammer((uint32_t)i, rounds);
	}
	for (int i = 0; killing && i < processes; i += 2) {
		usleep(20000);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		atomic_store(&world->rules.live[i], 0);
		pids[i] = 0;
	}
	for (int i = 0; i < processes; i++) {
		int status;
		if (pids[i] == 0)
			continue;
		waitpid(pids[i], &status, 0);
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a process ends well");
		expect(atomic_load(&world->cells.cell[i].device[0].charged) == 0, "nothing leaks");
	}
}

int main(int argc, char **argv)
{
	int processes = argc > 1 ? atoi(argv[1]) : 8, rounds = argc > 2 ? atoi(argv[2]) : 100000;

	world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	world->rules.devices = 1;
	world->rules.device[0].memory_limit = LIMIT;
	alone();
	lent();
	together(processes, rounds, false);
	expect(atomic_load(&world->given) == 0, "all was given back");
	expect(atomic_load(&world->most) <= (int64_t)LIMIT, "never above the limit");
	expect(atomic_load(&world->most) >= (int64_t)LIMIT * 9 / 10, "the limit is used");
	fflush(stdout);
	printf("%d processes: %llu taken, %llu refused, %lld at most\n", processes,
	       (unsigned long long)atomic_load(&world->taken), (unsigned long long)atomic_load(&world->refused),
	       (long long)atomic_load(&world->most));
	fflush(stdout);
	together(processes, rounds, true);
	/* What the killed had is not counted by themselves, so the sum apart says nothing here: the ledger does. */
	struct ledger l = {PTHREAD_MUTEX_INITIALIZER, &world->rules, &world->cells, 200};
	expect(ledger_reserve(&l, 0, LIMIT), "what the killed had is free");
	return 0;
}
