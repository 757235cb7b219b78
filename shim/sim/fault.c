/*
 * Faults on demand: words like "alloc=2,copy=1,bandwidth=1000000000,lost=0" in
 * $WEIR_SIM_FAULT, for one process, or in DIR/fault, for all of them and at any
 * time. A process reads the file again when it changes.
 *
 *	alloc=N      the Nth allocation from now fails, as if there were no memory
 *	copy=N       the Nth copy from now fails
 *	bandwidth=N  copies take N bytes in a second
 *	lost=N       device N is gone, as long as it is said here
 *	stop_WORD=N  the process stops (SIGSTOP) at the Nth from now of: create, map,
 *	             access, unmap and release, of physical memory; copy and copied,
 *	             before and after the bytes of a copy move
 *	pid=N        what stops is for this process only; it comes before that
 */
#define _GNU_SOURCE
#include "fault.h"
#include "state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	uint64_t alloc, copy, bandwidth, lost; /* lost has a bit for each device */
	uint64_t stop[STOPS];
	bool others; /* what stops is for another process */
} now;
static struct stat seen;
static bool begun;
static uint64_t looked;

static const char *const stops[STOPS] = { "stop_create", "stop_map",   "stop_access", "stop_copy",
					  "stop_copied", "stop_unmap", "stop_release" };

static void set(const char *name, uint64_t n)
{
	for (int i = 0; i < STOPS; i++)
		if (!strcmp(name, stops[i]) && !now.others)
			now.stop[i] = n;
	if (!strcmp(name, "pid"))
		now.others = n != (uint64_t)getpid();
	if (!strcmp(name, "alloc"))
		now.alloc = n;
	else if (!strcmp(name, "copy"))
		now.copy = n;
	else if (!strcmp(name, "bandwidth"))
		now.bandwidth = n;
	else if (!strcmp(name, "lost") && n < SIM_DEVICES)
		now.lost |= 1ull << n;
}

static void parse(char *text)
{
	char *rest = NULL;
	for (char *word = strtok_r(text, ", \n", &rest); word; word = strtok_r(NULL, ", \n", &rest)) {
		char *value = strchr(word, '=');
		if (!value)
			continue;
		*value++ = 0;
		set(word, strtoull(value, NULL, 10));
	}
}

/* Reads the environment, and the file over it. */
static void read_all(const char *path)
{
	char text[512];
	const char *env = getenv("WEIR_SIM_FAULT");
	memset(&now, 0, sizeof now);
	if (env) {
		snprintf(text, sizeof text, "%s", env);
		parse(text);
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n > 0) {
		text[n] = 0;
		parse(text);
	}
	if (fd >= 0)
		close(fd);
}

static void look(void)
{
	char path[4096];
	struct stat st;
	if (state_path(path, sizeof path, "fault"))
		return;
	if (stat(path, &st))
		memset(&st, 0, sizeof st);
	if (begun && st.st_ino == seen.st_ino && st.st_size == seen.st_size &&
	    !memcmp(&st.st_mtim, &seen.st_mtim, sizeof st.st_mtim))
		return;
	begun = true;
	seen = st;
	read_all(path);
}

static bool due(uint64_t *left)
{
	look();
	return *left && --*left == 0;
}

bool fault_alloc(void)
{
	return due(&now.alloc);
}

bool fault_copy(void)
{
	return due(&now.copy);
}

/* Whoever stopped it kills it there or lets it go on. No other process waits for it: it holds no lock of theirs. */
void fault_stop(enum fault_stop at)
{
	if (due(&now.stop[at]))
		raise(SIGSTOP); /* this thread, here, and with it all others */
}

uint64_t fault_bandwidth(void)
{
	return now.bandwidth; /* each copy looks before */
}

/* Asked at every call: the file is looked at a hundred times a second at most. */
bool fault_lost(int device)
{
	uint64_t t = timeline_now();
	if (t > looked + 10000000) {
		looked = t;
		look();
	}
	return now.lost >> device & 1;
}
