/* How long launches take: see estimate.h. */
#include "estimate.h"

#define LEAST 500u

static uint32_t bounded(uint64_t ns)
{
	return ns < LEAST ? LEAST : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void estimate_learn(struct estimates *e, const struct batch *b, uint64_t least, uint64_t most)
{
	uint64_t took = b->cost < least ? least : b->cost > most ? most : b->cost;
	/* All of a batch are wrong by the same factor, as far as anybody can tell. */
	double factor = (double)took / (double)(b->cost ? b->cost : 1);

	for (uint32_t i = 0; i < b->keys; i++) {
		uint64_t was = estimate_of(e, b->key[i]), is = took;
		if (b->launches > 1) {
			double by = factor < 0.5 ? 0.5 : factor > 8 ? 8 : factor;
			is = (uint64_t)((double)was * by);
		}
		atomic_store_explicit(&e->ns[b->key[i]], bounded(is), memory_order_relaxed);
	}
}

static void add_key(struct batch *b, uint16_t key)
{
	for (uint32_t i = 0; i < b->keys; i++)
		if (b->key[i] == key)
			return;
	if (b->keys < BATCH_KEYS)
		b->key[b->keys++] = key;
}

void batch_add(struct batch *b, uint16_t key, uint64_t cost)
{
	b->launches++;
	b->cost += cost;
	add_key(b, key);
}

void batch_merge(struct batch *into, const struct batch *b)
{
	into->launches += b->launches;
	into->cost += b->cost;
	for (uint32_t i = 0; i < b->keys; i++)
		add_key(into, b->key[i]);
}
