/*
 * Says which devices a driver has: a line for each, its fields between tabs:
 * index, UUID, bytes of memory that programs may have, name. One that the
 * driver knows and cannot speak of is left out: it is broken. The agent runs it
 * with the path of NVML, so that it need not be linked with C itself.
 *
 * With `watch` behind the path it says who has memory of the devices, as often
 * as a line comes in, until there are no more:
 *
 *     look    nanoseconds of CLOCK_MONOTONIC at which it began
 *     device  UUID
 *     process its number, bytes or - where the driver does not know
 *     done
 *
 * Processes are those of the device before them. A device that the driver
 * cannot speak of is left out: nothing is known of it.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/nvml.h"

static void *nvml;

static void *find(const char *name)
{
	void *f = dlsym(nvml, name);
	if (f == NULL)
		fprintf(stderr, "the driver has no %s: it is too old\n", name);
	return f;
}

static bool failed(const char *what, nvmlReturn_t r)
{
	if (r != NVML_SUCCESS)
		fprintf(stderr, "%s: the driver answers %d\n", what, (int)r);
	return r != NVML_SUCCESS;
}

/* What the driver keeps for itself is not what programs may have. */
static bool usable(nvmlDevice_t device, unsigned long long *bytes)
{
	nvmlReturn_t (*newer)(nvmlDevice_t, nvmlMemory_v2_t *) = dlsym(nvml, "nvmlDeviceGetMemoryInfo_v2");
	nvmlReturn_t (*older)(nvmlDevice_t, nvmlMemory_t *) = find("nvmlDeviceGetMemoryInfo");
	nvmlMemory_v2_t m = {.version = NVML_MEMORY_V2};
	nvmlMemory_t plain;

	if (newer != NULL && newer(device, &m) == NVML_SUCCESS) {
		*bytes = m.total - m.reserved;
		return true;
	}
	if (older == NULL || failed("nvmlDeviceGetMemoryInfo", older(device, &plain)))
		return false;
	*bytes = plain.total;
	return true;
}

/* What everything here begins with. */
static struct {
	nvmlReturn_t (*init)(void);
	nvmlReturn_t (*count)(unsigned int *);
	nvmlReturn_t (*handle)(unsigned int, nvmlDevice_t *);
	nvmlReturn_t (*name)(nvmlDevice_t, char *, unsigned int);
	nvmlReturn_t (*uuid)(nvmlDevice_t, char *, unsigned int);
} driver;

static bool begin(const char *path)
{
	nvml = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (nvml == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return false;
	}
	*(void **)&driver.init = find("nvmlInit_v2");
	*(void **)&driver.count = find("nvmlDeviceGetCount_v2");
	*(void **)&driver.handle = find("nvmlDeviceGetHandleByIndex_v2");
	*(void **)&driver.name = find("nvmlDeviceGetName");
	*(void **)&driver.uuid = find("nvmlDeviceGetUUID");
	return driver.init && driver.count && driver.handle && driver.name && driver.uuid &&
	       !failed("nvmlInit", driver.init());
}

static int list(void)
{
	unsigned int n;

	if (failed("nvmlDeviceGetCount", driver.count(&n)))
		return 1;
	for (unsigned int i = 0; i < n; i++) {
		nvmlDevice_t d;
		char called[128], id[128];
		unsigned long long bytes;
		if (failed("nvmlDeviceGetHandleByIndex", driver.handle(i, &d)) ||
		    failed("nvmlDeviceGetName", driver.name(d, called, sizeof called)) ||
		    failed("nvmlDeviceGetUUID", driver.uuid(d, id, sizeof id)) || !usable(d, &bytes)) {
			fprintf(stderr, "device %u is broken\n", i);
			continue;
		}
		printf("%u\t%s\t%llu\t%s\n", i, id, bytes, called);
	}
	return 0;
}

/* The kinds of processes, and the forms in which drivers have told of them, the newest first. */
static const char *const kinds[] = {"Compute", "Graphics"};
static const struct {
	const char *suffix;
	size_t size; /* of what is told of one process; its number and its bytes are at the same places in all */
} forms[] = {
	{"_v3", sizeof(nvmlProcessInfo_v2_t)},
	{"_v2", sizeof(nvmlProcessInfo_v2_t)},
	{"", sizeof(nvmlProcessInfo_v1_t)},
};
#define KINDS (sizeof kinds / sizeof *kinds)

_Static_assert(offsetof(nvmlProcessInfo_v1_t, usedGpuMemory) == offsetof(nvmlProcessInfo_v2_t, usedGpuMemory),
	       "all forms begin alike");

typedef nvmlReturn_t processes(nvmlDevice_t, unsigned int *, void *);
static struct {
	processes *ask;
	size_t size;
} ask[KINDS];

static bool find_processes(void)
{
	for (size_t k = 0; k < KINDS; k++)
		for (size_t f = 0; f < sizeof forms / sizeof *forms && ask[k].ask == NULL; f++) {
			char name[64];
			snprintf(name, sizeof name, "nvmlDeviceGet%sRunningProcesses%s", kinds[k], forms[f].suffix);
			*(void **)&ask[k].ask = dlsym(nvml, name);
			ask[k].size = forms[f].size;
		}
	if (ask[0].ask == NULL)
		fprintf(stderr, "the driver does not tell of processes: it is too old\n");
	return ask[0].ask != NULL;
}

/* All processes of a kind on a device; how many there are, or -1. */
#define MOST 65536u
static int read_processes(size_t kind, nvmlDevice_t device, char **out)
{
	static char *room[KINDS];
	static unsigned int have[KINDS];
	unsigned int n;
	nvmlReturn_t r;

	for (;;) {
		if (room[kind] == NULL && (room[kind] = calloc(have[kind] = 256, ask[kind].size)) == NULL)
			return -1;
		n = have[kind];
		r = ask[kind].ask(device, &n, room[kind]);
		if (r != NVML_ERROR_INSUFFICIENT_SIZE || have[kind] >= MOST)
			break;
		free(room[kind]);
		have[kind] = n < MOST / 2 ? 2 * n + 1 : MOST; /* more may come meanwhile */
		room[kind] = calloc(have[kind], ask[kind].size);
	}
	*out = room[kind];
	return r == NVML_SUCCESS && n <= have[kind] ? (int)n : -1;
}

static void tell_processes(nvmlDevice_t device, const char *id)
{
	char *list[KINDS] = {0};
	int n[KINDS] = {0};

	for (size_t k = 0; k < KINDS; k++) {
		if (ask[k].ask != NULL)
			n[k] = read_processes(k, device, &list[k]);
		if (n[k] < 0 && k == 0)
			return;
	}
	printf("device\t%s\n", id);
	for (size_t k = 0; k < KINDS; k++)
		for (int i = 0; i < n[k]; i++) {
			nvmlProcessInfo_v1_t p; /* all forms begin so */
			memcpy(&p, list[k] + (size_t)i * ask[k].size, sizeof p);
			if (p.usedGpuMemory == NVML_VALUE_NOT_AVAILABLE)
				printf("process\t%u\t-\n", p.pid);
			else
				printf("process\t%u\t%llu\n", p.pid, p.usedGpuMemory);
		}
}

static void look(void)
{
	struct timespec t;
	unsigned int n = 0;
	nvmlDevice_t d;
	char id[128];

	clock_gettime(CLOCK_MONOTONIC, &t);
	printf("look\t%lld\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
	if (failed("nvmlDeviceGetCount", driver.count(&n)))
		n = 0;
	for (unsigned int i = 0; i < n; i++)
		if (driver.handle(i, &d) == NVML_SUCCESS && driver.uuid(d, id, sizeof id) == NVML_SUCCESS)
			tell_processes(d, id);
	puts("done");
	fflush(stdout);
}

static int watch(void)
{
	char line[16];

	if (!find_processes())
		return 1;
	while (fgets(line, sizeof line, stdin) != NULL)
		look();
	return 0;
}

int main(int argc, char **argv)
{
	bool watches = argc == 3 && strcmp(argv[2], "watch") == 0;

	if (argc != 2 && !watches) {
		fprintf(stderr, "usage: probe PATH-OF-libnvidia-ml.so.1 [watch]\n");
		return 2;
	}
	if (!begin(argv[1]))
		return 1;
	return watches ? watch() : list();
}
