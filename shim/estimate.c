/* How long launches take: see estimate.h. */
#include "estimate.h"

#define LEAST 500u

static uint32_t bounded(uint64_t ns)
{
	return ns < LEAST ? LEAST : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void estimate_learn(struct estimates *e, const struct batch *b, uint64_t took, bool exact)
{
	if (!exact && took >= b->cost)
		return; /* at most as long as something longer than was thought says nothing */
	for (uint32_t i = 0; i < b->keys; i++) {
		uint64_t was = estimate_of(e, b->key[i]), is;
		if (b->launches == 1) {
			is = took;
		} else {
			/* All of a batch are wrong by the same factor, as far as anybody can tell. Half way there. */
			double factor = (double)took / (double)(b->cost ? b->cost : 1);
			factor = factor < 0.25 ? 0.25 : factor > 4 ? 4 : factor;
			is = (uint64_t)((double)was * (1 + factor) / 2);
		}
		atomic_store_explicit(&e->ns[b->key[i]], bounded(is), memory_order_relaxed);
	}
}
