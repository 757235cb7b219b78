/*
 * A pause at which no thread of the program's ends: whoever pauses here may have
 * a lock, or a wish in its cell. Nor is anything else that the shim waits for a
 * point at which pthread_cancel takes effect.
 */
#ifndef WEIR_NAP_H
#define WEIR_NAP_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline void nap(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
	syscall(SYS_nanosleep, &t, NULL);
}

#endif
