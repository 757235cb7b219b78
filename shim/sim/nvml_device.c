/* What NVML says of one device: what it is, its memory, how busy it is, and who uses it. */
#define _GNU_SOURCE
#include "fault.h"
#include "nvml.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Over which time it is said how busy a device is. */
#define WINDOW 1000000000ull

#define WITH_DEVICE(valid) \
	int device; \
	if (!nvml_device(handle, &device) || !(valid)) \
		return NVML_ERROR_INVALID_ARGUMENT; \
	if (fault_lost(device)) \
		return NVML_ERROR_GPU_IS_LOST

static nvmlReturn_t index_of(nvmlDevice_t handle, unsigned *out)
{
	WITH_DEVICE(out != NULL);
	*out = (unsigned)device;
	return NVML_SUCCESS;
}

static nvmlReturn_t name(nvmlDevice_t handle, char *out, unsigned length)
{
	WITH_DEVICE(out != NULL);
	return nvml_text(out, length, state->info[device].name);
}

static nvmlReturn_t uuid(nvmlDevice_t handle, char *out, unsigned length)
{
	char text[64];
	WITH_DEVICE(out != NULL);
	nvml_uuid(text, sizeof text, device);
	return nvml_text(out, length, text);
}

static nvmlReturn_t pci(nvmlDevice_t handle, nvmlPciInfo_t *out)
{
	WITH_DEVICE(out != NULL);
	*out = (nvmlPciInfo_t){ .bus = (unsigned)device + 1, .pciDeviceId = 0x233010deu };
	snprintf(out->busIdLegacy, sizeof out->busIdLegacy, "0000:%02X:00.0", out->bus & 0xff);
	snprintf(out->busId, sizeof out->busId, "00000000:%02X:00.0", out->bus & 0xff);
	return NVML_SUCCESS;
}

static nvmlReturn_t capability(nvmlDevice_t handle, int *major, int *minor)
{
	WITH_DEVICE(major && minor);
	*major = 9;
	*minor = 0;
	return NVML_SUCCESS;
}

/* Simulated devices are not cut into instances. */
static nvmlReturn_t unsupported(nvmlDevice_t handle)
{
	WITH_DEVICE(true);
	return NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t memory_info(nvmlDevice_t handle, nvmlMemory_t *out)
{
	WITH_DEVICE(out != NULL);
	out->total = state->info[device].memory;
	out->used = state_used(device);
	out->free = out->total - out->used;
	return NVML_SUCCESS;
}

static nvmlReturn_t memory_info_v2(nvmlDevice_t handle, nvmlMemory_v2_t *out)
{
	WITH_DEVICE(out != NULL);
	if (out->version != NVML_MEMORY_V2)
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	out->reserved = 0;
	out->total = state->info[device].memory;
	out->used = state_used(device);
	out->free = out->total - out->used;
	return NVML_SUCCESS;
}

static unsigned per_cent(uint64_t busy, uint64_t window)
{
	uint64_t n = window ? (busy * 100 + window / 2) / window : 0;
	return n > 100 ? 100 : (unsigned)n;
}

static nvmlReturn_t utilization(nvmlDevice_t handle, nvmlUtilization_t *out)
{
	WITH_DEVICE(out != NULL);
	uint64_t now = timeline_now(), from = timeline_since(device, now - WINDOW);
	*out = (nvmlUtilization_t){ .gpu = per_cent(timeline_busy(device, -1, from, now), now - from) };
	return NVML_SUCCESS;
}

/* Whether a slot is a process that has a context on a device, and which. */
static bool uses(int slot, int device, unsigned *pid)
{
	if (!state->slot[slot].taken || !state->slot[slot].use[device].contexts || !state_alive(slot))
		return false;
	*pid = (unsigned)state_pid(slot);
	return *pid != 0;
}

/* Writes the processes of a device with write, for as many as there is room; says how many there are. */
static nvmlReturn_t processes(nvmlDevice_t handle, unsigned *count, void *out,
			      void (*write)(void *out, unsigned i, unsigned pid, uint64_t used))
{
	unsigned n = 0, pid;
	WITH_DEVICE(count != NULL);
	for (int i = 0; i < SIM_SLOTS; i++) {
		if (!uses(i, device, &pid))
			continue;
		if (n < *count && out)
			write(out, n, pid, state->slot[i].use[device].used);
		n++;
	}
	bool room = n <= *count && (out || !n);
	*count = n;
	return room ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

static void write_v1(void *out, unsigned i, unsigned pid, uint64_t used)
{
	((nvmlProcessInfo_v1_t *)out)[i] = (nvmlProcessInfo_v1_t){ .pid = pid, .usedGpuMemory = used };
}

static void write_v2(void *out, unsigned i, unsigned pid, uint64_t used)
{
	((nvmlProcessInfo_v2_t *)out)[i] = (nvmlProcessInfo_v2_t){
		.pid = pid, .usedGpuMemory = used, .gpuInstanceId = 0xffffffffu, .computeInstanceId = 0xffffffffu
	};
}

static nvmlReturn_t none(nvmlDevice_t handle, unsigned *count)
{
	WITH_DEVICE(count != NULL);
	*count = 0;
	return NVML_SUCCESS;
}

/* Where the timeline's clock is, by the clock of the wall, in microseconds. */
static uint64_t wall(uint64_t time)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 - (timeline_now() - time) / 1000;
}

/* One sample for each process: how busy it kept the device since the time given, or for one second. */
static nvmlReturn_t process_utilization(nvmlDevice_t handle, nvmlProcessUtilizationSample_t *out, unsigned *count,
					unsigned long long last_seen)
{
	unsigned n = 0, pid;
	WITH_DEVICE(count != NULL);
	uint64_t now = timeline_now(), from = now - WINDOW, at = wall(now);
	if (last_seen && last_seen < at && at - last_seen < WINDOW / 1000)
		from = now - (at - last_seen) * 1000;
	from = timeline_since(device, from);
	for (int i = 0; i < SIM_SLOTS; i++) {
		if (!uses(i, device, &pid))
			continue;
		if (n < *count && out)
			out[n] = (nvmlProcessUtilizationSample_t){
				.pid = pid, .timeStamp = at,
				.smUtil = per_cent(timeline_busy(device, i, from, now), now - from)
			};
		n++;
	}
	bool room = n <= *count && out;
	*count = n;
	if (!n)
		return NVML_ERROR_NOT_FOUND;
	return room ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t d, unsigned int *out)
{
	NVML_ENTER(index_of(d, out));
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t d, unsigned int *out)
{
	NVML_ENTER(index_of(d, out));
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *out, unsigned int length)
{
	NVML_ENTER(name(d, out, length));
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char *out, unsigned int length)
{
	NVML_ENTER(uuid(d, out, length));
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *out)
{
	NVML_ENTER(pci(d, out));
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t d, int *major, int *minor)
{
	NVML_ENTER(capability(d, major, minor));
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t d, unsigned int *current, unsigned int *pending)
{
	(void)current, (void)pending;
	NVML_ENTER(unsupported(d));
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t d, nvmlBAR1Memory_t *out)
{
	(void)out;
	NVML_ENTER(unsupported(d));
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *out)
{
	NVML_ENTER(memory_info(d, out));
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *out)
{
	NVML_ENTER(memory_info_v2(d, out));
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *out)
{
	NVML_ENTER(utilization(d, out));
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_v1_t *out)
{
	NVML_ENTER(processes(d, count, out, write_v1));
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_v2_t *out)
{
	NVML_ENTER(processes(d, count, out, write_v2));
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_v2_t *out)
{
	NVML_ENTER(processes(d, count, out, write_v2));
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_v2_t *out)
{
	(void)out;
	NVML_ENTER(none(d, count));
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t d, nvmlProcessUtilizationSample_t *out, unsigned int *count,
					     unsigned long long last_seen)
{
	NVML_ENTER(process_utilization(d, out, count, last_seen));
}
