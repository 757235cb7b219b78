/* What fuzz_test is made of: values to call the driver with, most of them right, and the functions to call. */
#ifndef WEIR_TEST_FUZZ_H
#define WEIR_TEST_FUZZ_H

#include <stdbool.h>

#include "try.h"

#define PLACES 12

/*
 * What stands in a function's place:
 *	o  where the answer goes, or nowhere     v  where something else goes, or nowhere
 *	D  an address of a device                U  one, or of the host, that is there for sure
 *	E  one, or one that was freed just now    u  words of what b is bytes of
 *	H  memory of the host                    B  bytes, any    b  bytes, few or far too many    P  of whole pages of a device
 *	h  few bytes     y  rows
 *	S  stream   C  context   F  function   G  graph   X  graph to launch   Q  pool
 *	A  array    L  array with levels       M  physical memory   R  reserved addresses
 *	d  device   n  number, any             e  bytes of an element
 *	a  descriptor of an array  l  of one with depth  p  of physical memory  q  of a pool
 *	k  parameters of a node that takes memory   c  of a launch   i  of making a graph   m  of a copy of two dimensions
 *	t  what is asked of an address              w  launches of several devices          0  nothing
 */
struct fuzz_call {
	const char *name, *places;
	char makes, ends; /* kinds of what it makes, and of what its first argument is no longer */
};

extern const struct fuzz_call fuzz_calls[];
extern const int fuzz_call_count;

struct fuzz_value {
	uint64_t value;
	int slot;  /* of what was made; -1: none */
	bool huge; /* more than any device has */
	bool wild; /* nothing that was ever made */
};

/*
 * WILD has everything. VIEWS asks for nothing that no device has, and compares what is said to be free: what is refused
 * for want of memory empties pools first. TAME asks for memory in sizes that end where pieces of swappable memory do, and
 * stays within it: more is there than was asked for, so that a little beyond is no error.
 */
enum fuzz_way { FUZZ_WILD, FUZZ_VIEWS, FUZZ_TAME };

void fuzz_begin(uint64_t seed, enum fuzz_way how);
uint64_t fuzz_random(uint64_t below);

/* The next call is about to be made. */
void fuzz_next(void);

/* A value for a place, in this process. */
struct fuzz_value fuzz_choose(char place);

/* What was made is remembered with the context it was made in; bytes are those asked for. */
void fuzz_made(char kind, uint64_t value, CUcontext in, uint64_t bytes);
void fuzz_ended(char kind, int slot);
void fuzz_context_ended(CUcontext ctx);

/* What the driver answers in and out of; it is cleared before each call. */
#define FUZZ_ANSWER 4096
extern unsigned char fuzz_answer[2][FUZZ_ANSWER];

#endif
