/* The hash table against a plain array of the same entries. */
#include "../../table.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS 500

int main(void)
{
	static struct table t;
	static struct entry plain[KEYS]; /* count 0: not there */
	struct entry e;

	srand(7);
	for (int i = 0; i < 1000000; i++) {
		uint64_t k = (uint64_t)rand() % KEYS, key = 0x7f0000000000ull + k * (2 << 20);
		switch (rand() % 4) {
		case 0:
			plain[k] = (struct entry){.key = key, .bytes = (uint64_t)i, .owner = k % 7, .count = 1};
			if (!table_put(&t, plain[k]))
				return 1;
			break;
		case 1:
			if (table_take(&t, key, &e) != (plain[k].count > 0) ||
			    (plain[k].count > 0 && e.bytes != plain[k].bytes))
				return fprintf(stderr, "take %d\n", i), 1;
			plain[k].count = 0;
			break;
		case 2:
			if (table_get(&t, key, &e) != (plain[k].count > 0) ||
			    (plain[k].count > 0 && e.bytes != plain[k].bytes))
				return fprintf(stderr, "get %d\n", i), 1;
			break;
		default:
			if (plain[k].count == 0)
				break;
			int by = plain[k].count > 3 || rand() % 2 ? -1 : 1;
			plain[k].count += (uint32_t)by;
			if (!table_count(&t, key, by, &e) || e.count != plain[k].count)
				return fprintf(stderr, "count %d\n", i), 1;
		}
	}
	size_t left = 0;
	for (uint64_t k = 0; k < KEYS; k++)
		left += plain[k].count > 0;
	for (uint64_t owner = 0; owner < 7; owner++)
		while (table_take_of(&t, owner, &e))
			left--;
	if (left != 0 || t.used != 0)
		return fprintf(stderr, "%zu left\n", left), 1;
	return 0;
}
