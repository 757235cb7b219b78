/* The shadow of NVML: memory as the ledger has it. Processes are in processes.c; everything else is the real library's. */
#include "abi/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "nvml.h"
#include "self.h"

static void *library;

static struct {
	__typeof__(nvmlDeviceGetMemoryInfo) *memory;
	__typeof__(nvmlDeviceGetMemoryInfo_v2) *memory_v2;
	__typeof__(nvmlDeviceGetUUID) *uuid;
	__typeof__(nvmlDeviceGetIndex) *index;
	__typeof__(nvmlDeviceGetHandleByIndex_v2) *by_index;
} nvml;

/* As the driver's shadow does: by path, as by name we would find ourselves. */
__attribute__((constructor)) static void find_all(void)
{
	Dl_info us;
	char path[4096];

	if (dladdr((void *)&nvml, &us) == 0)
		return;
	const char *slash = strrchr(us.dli_fname, '/');
	int folder = slash ? (int)(slash - us.dli_fname) : 1;
	snprintf(path, sizeof path, "%.*s/driver/libnvidia-ml.so.1", folder, slash ? us.dli_fname : ".");
	library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (library == NULL) {
		self_complain("NVML is not beside the shim: %s", dlerror());
		return;
	}
	*(void **)&nvml.memory = dlsym(library, "nvmlDeviceGetMemoryInfo");
	*(void **)&nvml.memory_v2 = dlsym(library, "nvmlDeviceGetMemoryInfo_v2");
	*(void **)&nvml.uuid = dlsym(library, "nvmlDeviceGetUUID");
	*(void **)&nvml.index = dlsym(library, "nvmlDeviceGetIndex");
	*(void **)&nvml.by_index = dlsym(library, "nvmlDeviceGetHandleByIndex_v2");
}

void *nvml_real(const char *name)
{
	return library != NULL ? dlsym(library, name) : NULL;
}

/* "GPU-" and 32 hexadecimal digits with dashes between. */
static bool parse_uuid(const char *text, uint8_t out[16])
{
	int n = 0;

	if (strncmp(text, "GPU-", 4) != 0)
		return false;
	for (text += 4; *text != 0 && n < 16; text++) {
		unsigned int byte;
		if (*text == '-')
			continue;
		if (sscanf(text, "%2x", &byte) != 1)
			return false;
		out[n++] = (uint8_t)byte;
		text++;
	}
	return n == 16;
}

static bool uuid(int ordinal, uint8_t out[16])
{
	nvmlDevice_t device;
	char text[96];

	return nvml.by_index != NULL && nvml.uuid != NULL &&
	       nvml.by_index((unsigned int)ordinal, &device) == NVML_SUCCESS &&
	       nvml.uuid(device, text, sizeof text) == NVML_SUCCESS && parse_uuid(text, out);
}

const struct self_driver self_driver = {uuid, NULL, NULL};

/* Whose limit is shown for the device; false when it is the device itself that is. */
static bool limits(nvmlDevice_t device, uint64_t *limit, uint64_t *used)
{
	struct self *self = self_member();
	unsigned int index;

	if (self == NULL || nvml.index == NULL || nvml.index(device, &index) != NVML_SUCCESS)
		return false;
	int rule = self_rule(self, (int)index);
	if (rule < 0)
		return false;
	*used = ledger_used(&self->ledger, (uint32_t)rule, limit);
	return true;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
	uint64_t limit, used;
	nvmlReturn_t r = nvml.memory ? nvml.memory(device, memory) : NVML_ERROR_FUNCTION_NOT_FOUND;

	if (r != NVML_SUCCESS || !limits(device, &limit, &used) || limit > memory->total)
		return r;
	*memory = (nvmlMemory_t){.total = limit, .free = limit - used, .used = used};
	return r;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
	uint64_t limit, used;
	nvmlReturn_t r = nvml.memory_v2 ? nvml.memory_v2(device, memory) : NVML_ERROR_FUNCTION_NOT_FOUND;

	if (r != NVML_SUCCESS || !limits(device, &limit, &used) || limit > memory->total)
		return r;
	memory->total = limit;
	memory->used = used;
	memory->free = limit - used;
	memory->reserved = 0; /* the device's own part is not of this limit */
	return r;
}
