/*
 * Handles that are valid: a hash set of the pointers given out, so that a
 * handle that was made up, or destroyed before, is an error and not a crash.
 */
#include "sim.h"

#include <stdlib.h>

struct entry {
	void *p;
	enum kind kind;
};

static struct entry *table;
static size_t room, count, used; /* used counts what was removed, too */
static char removed;

static size_t place(const void *p, size_t size)
{
	return (size_t)(((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (size - 1);
}

static struct entry *find(const void *p)
{
	if (!room || !p)
		return NULL;
	for (size_t i = place(p, room); table[i].p; i = (i + 1) & (room - 1))
		if (table[i].p == p)
			return &table[i];
	return NULL;
}

static void put(struct entry *t, size_t size, void *p, enum kind kind)
{
	size_t i = place(p, size);
	while (t[i].p)
		i = (i + 1) & (size - 1);
	t[i] = (struct entry){ p, kind };
}

static bool grow(void)
{
	size_t size = count * 4 < 64 ? 64 : 1;
	while (size < count * 4)
		size *= 2;
	struct entry *t = calloc(size, sizeof *t);
	if (!t)
		return false;
	for (size_t i = 0; i < room; i++)
		if (table[i].p && table[i].p != &removed)
			put(t, size, table[i].p, table[i].kind);
	free(table);
	table = t;
	room = size;
	used = count;
	return true;
}

void *handle_new(enum kind kind, size_t size)
{
	if (used * 2 >= room && !grow())
		return NULL;
	void *p = calloc(1, size);
	if (!p)
		return NULL;
	put(table, room, p, kind);
	count++;
	used++;
	return p;
}

bool handle_is(const void *p, enum kind kind)
{
	const struct entry *e = find(p);
	return e && e->kind == kind;
}

void handle_free(void *p)
{
	struct entry *e = find(p);
	if (!e)
		return;
	e->p = &removed;
	e->kind = 0;
	count--;
	free(p);
}

size_t handle_count(void)
{
	return count;
}
