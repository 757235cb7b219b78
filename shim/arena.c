/* The arena: see arena.h. */
#include "arena.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "nap.h"

/* How often a process looks again for slots of those that have just died; a millisecond lies between. */
#define LOOKS 1000

static bool lock_name(int fd, uint32_t name, short kind)
{
	struct flock l = {.l_type = kind, .l_whence = SEEK_SET, .l_start = name, .l_len = 1};
	return fcntl(fd, F_SETLK, &l) == 0;
}

/* Frees what a process had whose name this one holds. */
static void free_all_of(const struct arena *a, uint32_t name)
{
	for (uint32_t i = 0; i < a->chunks; i++)
		if (atomic_load(&a->at->slot[i].owner) == name)
			atomic_store(&a->at->slot[i].owner, 0);
}

static uint32_t take_name(int fd)
{
	for (uint32_t name = 1; name < WEIR_OWNERS; name++)
		if (lock_name(fd, name, F_WRLCK))
			return name;
	return 0;
}

bool arena_open(struct arena *arena, int fd)
{
	struct stat s;

	if (fstat(fd, &s) != 0 || (size_t)s.st_size < sizeof(struct weir_arena))
		return false;
	size_t bytes = (size_t)s.st_size;
	struct weir_arena *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return false;
	/* A child has no part in it. */
	madvise(at, bytes, MADV_DONTFORK);
	uint32_t chunks = __atomic_load_n(&at->chunks, __ATOMIC_RELAXED), name = 0;
	uint64_t start = __atomic_load_n(&at->start, __ATOMIC_RELAXED);
	uint64_t journal = sizeof *at + (uint64_t)chunks * sizeof at->slot[0];
	if (at->magic == WEIR_MAGIC && at->version == WEIR_VERSION && start >= journal && start <= bytes &&
	    (bytes - start) / WEIR_CHUNK >= chunks)
		name = take_name(fd);
	if (name == 0) {
		munmap(at, bytes);
		return false;
	}
	*arena = (struct arena){.at = at, .bytes = bytes, .chunks = chunks, .start = start, .fd = fd, .owner = name};
	free_all_of(arena, name); /* of one that died, and had the same */
	return true;
}

/* Frees what is owned by processes that have ended, as the agent does when it lives. */
static void reap(struct arena *arena)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < arena->chunks; i++) {
		uint32_t owner = atomic_load(&arena->at->slot[i].owner);
		if (owner == 0 || owner >= WEIR_OWNERS || owner == arena->owner || owner == last)
			continue;
		last = owner;
		if (!lock_name(arena->fd, owner, F_WRLCK))
			continue;
		free_all_of(arena, owner);
		lock_name(arena->fd, owner, F_UNLCK);
	}
}

static uint32_t claim_some(struct arena *arena, uint64_t address, uint32_t count, uint32_t *slots)
{
	struct weir_arena *a = arena->at;
	uint32_t have = 0;

	for (uint32_t look = 0; look < arena->chunks && have < count; look++) {
		uint32_t i = (arena->hint + look) % arena->chunks, nobody = 0;
		if (!atomic_compare_exchange_strong(&a->slot[i].owner, &nobody, arena->owner))
			continue;
		a->slot[i].address = address + have * WEIR_CHUNK;
		atomic_store(&a->slot[i].state, WEIR_RESIDENT);
		slots[have++] = i;
	}
	if (have > 0)
		arena->hint = slots[have - 1] + 1;
	return have;
}

bool arena_claim(struct arena *arena, uint64_t address, uint32_t count, uint32_t *slots)
{
	uint32_t have = claim_some(arena, address, count, slots);

	/* The limit is not larger than the arena: what is missing belongs to somebody who has ended. */
	for (int look = 0; have < count && look < LOOKS; look++) {
		reap(arena);
		have += claim_some(arena, address + have * WEIR_CHUNK, count - have, slots + have);
		if (have < count)
			nap(1000000);
	}
	if (have == count)
		return true;
	arena_free(arena, have, slots);
	return false;
}

void arena_free(struct arena *arena, uint32_t count, const uint32_t *slots)
{
	for (uint32_t i = 0; i < count; i++)
		atomic_store(&arena->at->slot[slots[i]].owner, 0);
}

void arena_state(struct arena *arena, uint32_t slot, enum weir_copy state)
{
	atomic_store(&arena->at->slot[slot].state, state);
}

void *arena_bytes(const struct arena *arena, uint32_t slot)
{
	return (char *)arena->at + arena->start + (uint64_t)slot * WEIR_CHUNK;
}

bool arena_ready(const struct arena *arena)
{
	return atomic_load(&arena->at->ready) != 0;
}
