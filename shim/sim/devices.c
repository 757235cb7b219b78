/* What devices there are: "2x80GiB,1x40GiB" is three of them. */
#define _GNU_SOURCE
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *suffix;
	uint64_t bytes;
} units[] = { { "GiB", 1ull << 30 }, { "Gi", 1ull << 30 }, { "MiB", 1ull << 20 }, { "Mi", 1ull << 20 } };

/* Reads "80GiB"; what follows, or NULL. */
static const char *size_parse(const char *text, uint64_t *bytes)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);
	if (end == text || n == 0 || n > 1ull << 20)
		return NULL;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t len = strlen(units[i].suffix);
		if (!strncmp(end, units[i].suffix, len)) {
			*bytes = n * units[i].bytes;
			return end + len;
		}
	}
	return NULL;
}

static void describe(struct sim_info *info, int index, uint64_t bytes)
{
	info->memory = bytes;
	snprintf(info->name, sizeof info->name, "Weir Simulated %lluGB", (unsigned long long)(bytes >> 30));
	/* Version 4 of UUIDs, told apart by their last byte: the same names on each machine. */
	memcpy(info->uuid, "\x77\x65\x69\x72\x51\x4d\x40\x00\x80\x00\x51\x4d\x00\x00\x00\x00", 16);
	info->uuid[15] = (uint8_t)index;
}

int devices_parse(const char *text, struct sim_info *info)
{
	int n = 0;
	for (;;) {
		char *end;
		uint64_t bytes;
		long count = strtol(text, &end, 10);
		if (end == text || *end != 'x' || count <= 0 || count > SIM_DEVICES - n)
			return -1;
		text = size_parse(end + 1, &bytes);
		if (!text)
			return -1;
		while (count--) {
			describe(&info[n], n, bytes);
			n++;
		}
		if (*text == 0)
			return n;
		if (*text++ != ',')
			return -1;
	}
}
