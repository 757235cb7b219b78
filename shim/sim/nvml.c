/*
 * libnvidia-ml.so.1 of the simulated devices: reads the state that their
 * drivers share. It joins nothing: looking at a device takes no part of it.
 */
#define _GNU_SOURCE
#include "nvml.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;

nvmlReturn_t nvml_enter(void)
{
	pthread_mutex_lock(&lock);
	if (users)
		return NVML_SUCCESS;
	pthread_mutex_unlock(&lock);
	return NVML_ERROR_UNINITIALIZED;
}

nvmlReturn_t nvml_leave(nvmlReturn_t result)
{
	pthread_mutex_unlock(&lock);
	return result;
}

/* Devices are told apart by a number, which is never NULL. */
static nvmlDevice_t handle_of(unsigned index)
{
	return (nvmlDevice_t)(uintptr_t)(index + 1);
}

bool nvml_device(nvmlDevice_t handle, int *device)
{
	uintptr_t n = (uintptr_t)handle;
	*device = (int)n - 1;
	return n >= 1 && n <= state->devices;
}

/* The child of a fork has other open files: it opens them itself. */
static void in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	state_forked();
	state = NULL;
	users = 0;
}

static nvmlReturn_t begin(void)
{
	static bool registered;
	pthread_mutex_lock(&lock);
	if (!state_open())
		return nvml_leave(NVML_ERROR_DRIVER_NOT_LOADED);
	if (!registered)
		pthread_atfork(NULL, NULL, in_child);
	registered = true;
	users++;
	return nvml_leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlInit(void)
{
	return begin();
}

nvmlReturn_t nvmlInit_v2(void)
{
	return begin();
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
	(void)flags;
	return begin();
}

static nvmlReturn_t end(void)
{
	users--;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
	NVML_ENTER(end());
}

const char *nvmlErrorString(nvmlReturn_t result)
{
	switch (result) {
	case NVML_SUCCESS:
		return "Success";
	case NVML_ERROR_UNINITIALIZED:
		return "Uninitialized";
	case NVML_ERROR_INVALID_ARGUMENT:
		return "Invalid Argument";
	case NVML_ERROR_NOT_SUPPORTED:
		return "Not Supported";
	case NVML_ERROR_NO_PERMISSION:
		return "Insufficient Permissions";
	case NVML_ERROR_NOT_FOUND:
		return "Not Found";
	case NVML_ERROR_INSUFFICIENT_SIZE:
		return "Insufficient Size";
	case NVML_ERROR_DRIVER_NOT_LOADED:
		return "Driver Not Loaded";
	case NVML_ERROR_GPU_IS_LOST:
		return "GPU is lost";
	default:
		return "Unknown Error";
	}
}

nvmlReturn_t nvml_text(char *out, unsigned length, const char *text)
{
	if (!out)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (strlen(text) >= length)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	strcpy(out, text);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
	NVML_ENTER(nvml_text(version, length, "580.00"));
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
	NVML_ENTER(nvml_text(version, length, "13.580.00"));
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
	if (!version)
		return NVML_ERROR_INVALID_ARGUMENT;
	*version = 13000;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
	return nvmlSystemGetCudaDriverVersion(version);
}

static nvmlReturn_t process_name(unsigned pid, char *name, unsigned length)
{
	char path[64], text[256];
	snprintf(path, sizeof path, "/proc/%u/exe", pid);
	ssize_t n = readlink(path, text, sizeof text - 1);
	if (n < 0)
		return NVML_ERROR_NOT_FOUND;
	text[n] = 0;
	return nvml_text(name, length, text);
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
	NVML_ENTER(process_name(pid, name, length));
}

static nvmlReturn_t count(unsigned *out)
{
	if (!out)
		return NVML_ERROR_INVALID_ARGUMENT;
	*out = state->devices;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int *out)
{
	NVML_ENTER(count(out));
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *out)
{
	NVML_ENTER(count(out));
}

static nvmlReturn_t by_index(unsigned index, nvmlDevice_t *device)
{
	if (!device || index >= state->devices)
		return NVML_ERROR_INVALID_ARGUMENT;
	*device = handle_of(index);
	return NVML_SUCCESS;
}

/* GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx */
void nvml_uuid(char *out, size_t size, int device)
{
	const uint8_t *u = state->info[device].uuid;
	size_t n = (size_t)snprintf(out, size, "GPU");
	for (int i = 0; i < 16; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%02x", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				      u[i]);
}

static nvmlReturn_t by_uuid(const char *uuid, nvmlDevice_t *device)
{
	char text[64];
	if (!uuid || !device)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (unsigned i = 0; i < state->devices; i++) {
		nvml_uuid(text, sizeof text, (int)i);
		if (!strcmp(text, uuid))
			return by_index(i, device);
	}
	return NVML_ERROR_NOT_FOUND;
}

static nvmlReturn_t by_bus(const char *id, nvmlDevice_t *device)
{
	unsigned domain, bus;
	if (!id || !device || sscanf(id, "%x:%x:", &domain, &bus) != 2)
		return NVML_ERROR_INVALID_ARGUMENT;
	return domain || !bus || bus > state->devices ? NVML_ERROR_NOT_FOUND : by_index(bus - 1, device);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
	NVML_ENTER(by_index(index, device));
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
	NVML_ENTER(by_index(index, device));
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
	NVML_ENTER(by_uuid(uuid, device));
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *id, nvmlDevice_t *device)
{
	NVML_ENTER(by_bus(id, device));
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *device)
{
	NVML_ENTER(by_bus(id, device));
}
