/* The ways in which a program takes memory of a device, each as one that takes and one that gives back. */
#ifndef WEIR_TEST_FAMILIES_H
#define WEIR_TEST_FAMILIES_H

#include "try.h"

struct family {
	const char *name;
	CUresult (*take)(uint64_t bytes, uint64_t out[2]);
	void (*give)(uint64_t bytes, const uint64_t had[2]);
	void (*flush)(void); /* brings back what is kept in reserve; may be NULL */
	uint64_t grain;	     /* takes multiples of this */
};

extern const struct family families[];
extern const int family_count;

/* The family's number. */
const struct family *family(const char *name);

/* What is free and in all, in three views, which are to agree. */
void views(uint64_t *free, uint64_t *total);

#endif
