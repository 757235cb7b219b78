/* A hash table with open addressing: see table.h. */
#include "table.h"

#include <stdlib.h>

static size_t home(const struct table *t, uint64_t key)
{
	/* Addresses are multiples of large powers of two: the high bits of a product mix them. */
	return (size_t)((key * 0x9e3779b97f4a7c15ull) >> 20) & (t->size - 1);
}

static struct entry *find(const struct table *t, uint64_t key)
{
	if (t->size == 0)
		return NULL;
	for (size_t i = home(t, key); t->slots[i].key != 0; i = (i + 1) & (t->size - 1))
		if (t->slots[i].key == key)
			return &t->slots[i];
	return NULL;
}

static void place(struct table *t, struct entry e)
{
	size_t i = home(t, e.key);
	while (t->slots[i].key != 0)
		i = (i + 1) & (t->size - 1);
	t->slots[i] = e;
	t->used++;
}

static bool grow(struct table *t)
{
	struct table next = {.size = t->size ? t->size * 2 : 64};
	next.slots = calloc(next.size, sizeof *next.slots);
	if (next.slots == NULL)
		return false;
	for (size_t i = 0; i < t->size; i++)
		if (t->slots[i].key != 0)
			place(&next, t->slots[i]);
	free(t->slots);
	t->slots = next.slots;
	t->size = next.size;
	return true;
}

static bool put(struct table *t, struct entry e)
{
	struct entry *there = find(t, e.key);
	if (there != NULL) {
		*there = e;
		return true;
	}
	if ((t->used + 1) * 2 > t->size && !grow(t))
		return false;
	place(t, e);
	return true;
}

/* Closes the gap that an entry leaves, so that whatever was pushed past it is still found. */
static void drop(struct table *t, struct entry *e)
{
	size_t gap = (size_t)(e - t->slots), mask = t->size - 1;
	for (size_t i = (gap + 1) & mask; t->slots[i].key != 0; i = (i + 1) & mask) {
		size_t from = home(t, t->slots[i].key);
		if (((i - from) & mask) >= ((i - gap) & mask)) {
			t->slots[gap] = t->slots[i];
			gap = i;
		}
	}
	t->slots[gap].key = 0;
	t->used--;
}

bool table_put(struct table *t, struct entry e)
{
	pthread_mutex_lock(&t->lock);
	bool done = put(t, e);
	pthread_mutex_unlock(&t->lock);
	return done;
}

bool table_get(struct table *t, uint64_t key, struct entry *entry)
{
	pthread_mutex_lock(&t->lock);
	struct entry *e = key ? find(t, key) : NULL;
	if (e != NULL)
		*entry = *e;
	pthread_mutex_unlock(&t->lock);
	return e != NULL;
}

bool table_take(struct table *t, uint64_t key, struct entry *entry)
{
	pthread_mutex_lock(&t->lock);
	struct entry *e = key ? find(t, key) : NULL;
	if (e != NULL) {
		*entry = *e;
		drop(t, e);
	}
	pthread_mutex_unlock(&t->lock);
	return e != NULL;
}

bool table_count(struct table *t, uint64_t key, int add, struct entry *entry)
{
	pthread_mutex_lock(&t->lock);
	struct entry *e = key ? find(t, key) : NULL;
	if (e != NULL) {
		e->count += (uint32_t)add;
		*entry = *e;
		if (e->count == 0)
			drop(t, e);
	}
	pthread_mutex_unlock(&t->lock);
	return e != NULL;
}

bool table_add(struct table *t, uint64_t key, uint64_t bytes, uint32_t device)
{
	bool done = true;
	pthread_mutex_lock(&t->lock);
	struct entry *e = find(t, key);
	if (e != NULL)
		e->bytes += bytes;
	else
		done = put(t, (struct entry){.key = key, .bytes = bytes, .device = device, .count = 1});
	pthread_mutex_unlock(&t->lock);
	return done;
}

bool table_next(struct table *t, size_t *at, struct entry *entry)
{
	pthread_mutex_lock(&t->lock);
	while (*at < t->size && t->slots[*at].key == 0)
		++*at;
	bool found = *at < t->size;
	if (found)
		*entry = t->slots[(*at)++];
	pthread_mutex_unlock(&t->lock);
	return found;
}

bool table_take_of(struct table *t, uint64_t owner, struct entry *entry)
{
	bool found = false;
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->size && !found; i++) {
		if (t->slots[i].key == 0 || t->slots[i].owner != owner)
			continue;
		*entry = t->slots[i];
		drop(t, &t->slots[i]);
		found = true;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}
