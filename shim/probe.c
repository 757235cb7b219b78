/*
 * Says which devices a driver has: a line for each, its fields between tabs:
 * index, UUID, bytes of memory that programs may have, name. One that the
 * driver knows and cannot speak of is left out: it is broken. The agent runs it
 * with the path of NVML, so that it need not be linked with C itself.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>

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

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: probe PATH-OF-libnvidia-ml.so.1\n");
		return 2;
	}
	nvml = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (nvml == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	nvmlReturn_t (*init)(void) = find("nvmlInit_v2");
	nvmlReturn_t (*count)(unsigned int *) = find("nvmlDeviceGetCount_v2");
	nvmlReturn_t (*handle)(unsigned int, nvmlDevice_t *) = find("nvmlDeviceGetHandleByIndex_v2");
	nvmlReturn_t (*name)(nvmlDevice_t, char *, unsigned int) = find("nvmlDeviceGetName");
	nvmlReturn_t (*uuid)(nvmlDevice_t, char *, unsigned int) = find("nvmlDeviceGetUUID");
	unsigned int n;

	if (!init || !count || !handle || !name || !uuid)
		return 1;
	if (failed("nvmlInit", init()) || failed("nvmlDeviceGetCount", count(&n)))
		return 1;
	for (unsigned int i = 0; i < n; i++) {
		nvmlDevice_t d;
		char called[128], id[128];
		unsigned long long bytes;
		if (failed("nvmlDeviceGetHandleByIndex", handle(i, &d)) ||
		    failed("nvmlDeviceGetName", name(d, called, sizeof called)) ||
		    failed("nvmlDeviceGetUUID", uuid(d, id, sizeof id)) || !usable(d, &bytes)) {
			fprintf(stderr, "device %u is broken\n", i);
			continue;
		}
		printf("%u\t%s\t%llu\t%s\n", i, id, bytes, called);
	}
	return 0;
}
