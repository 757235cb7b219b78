/* Devices: how many, what they are called, what they can do. */
#define _GNU_SOURCE
#include "sim.h"

#include <stdio.h>
#include <string.h>

bool device_is(int device)
{
	return device >= 0 && (uint32_t)device < state->devices;
}

static CUresult get(CUdevice *device, int ordinal)
{
	if (!device)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(ordinal))
		return CUDA_ERROR_INVALID_DEVICE;
	*device = ordinal;
	return CUDA_SUCCESS;
}

static CUresult count(int *out)
{
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (int)state->devices;
	return CUDA_SUCCESS;
}

static CUresult name(char *out, int length, CUdevice device)
{
	if (!out || length <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	snprintf(out, (size_t)length, "%s", state->info[device].name);
	return CUDA_SUCCESS;
}

static CUresult uuid(CUuuid *out, CUdevice device)
{
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	memcpy(out->bytes, state->info[device].uuid, sizeof out->bytes);
	return CUDA_SUCCESS;
}

static CUresult total(size_t *bytes, CUdevice device)
{
	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*bytes = state->info[device].memory;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
	ENTER(get(device, ordinal));
}

CUresult cuDeviceGetCount(int *out)
{
	ENTER(count(out));
}

CUresult cuDeviceGetName(char *out, int length, CUdevice device)
{
	ENTER(name(out, length, device));
}

CUresult cuDeviceGetUuid(CUuuid *out, CUdevice device)
{
	ENTER(uuid(out, device));
}

CUresult cuDeviceGetUuid_v2(CUuuid *out, CUdevice device)
{
	ENTER(uuid(out, device));
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
	ENTER(total(bytes, device));
}

static unsigned int clamp(size_t n)
{
	return n > UINT32_MAX ? UINT32_MAX : (unsigned int)n;
}

CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice device)
{
	size_t n = 0;
	CUresult r = sim_enter();
	if (r)
		return r;
	r = sim_leave(bytes ? total(&n, device) : CUDA_ERROR_INVALID_VALUE);
	if (!r)
		*bytes = clamp(n);
	return r;
}

/* A device of the Hopper kind. What is not here is 0: there is nothing of it. */
static const struct {
	CUdevice_attribute attribute;
	int value;
} attributes[] = {
	{ CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024 },
	{ CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024 },
	{ CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024 },
	{ CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64 },
	{ CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647 },
	{ CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535 },
	{ CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535 },
	{ CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152 },
	{ CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536 },
	{ CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32 },
	{ CU_DEVICE_ATTRIBUTE_MAX_PITCH, 2147483647 },
	{ CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536 },
	{ CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1980000 },
	{ CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512 },
	{ CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1 },
	{ CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132 },
	{ CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1 },
	{ CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1 },
	{ CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 1 },
	{ CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 2619000 },
	{ CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 5120 },
	{ CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 50 << 20 },
	{ CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048 },
	{ CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2 },
	{ CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1 },
	{ CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9 },
	{ CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0 },
	{ CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1 },
	{ CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 233472 },
	{ CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536 },
	{ CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 1 },
	{ CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1 },
	{ CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1 },
	{ CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448 },
	{ CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1 },
	{ CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1 },
	{ CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1 },
};

static CUresult attribute(int *value, CUdevice_attribute which, CUdevice device)
{
	if (!value || (int)which <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	*value = which == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID ? device + 1 : 0;
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
		if (attributes[i].attribute == which)
			*value = attributes[i].value;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which, CUdevice device)
{
	ENTER(attribute(value, which, device));
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
	if (!major || !minor)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = cuDeviceGetAttribute(major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
	return r ? r : cuDeviceGetAttribute(minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
}

static CUresult bus_id(char *id, int length, CUdevice device)
{
	if (!id || length < 13)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(device))
		return CUDA_ERROR_INVALID_DEVICE;
	snprintf(id, (size_t)length, "0000:%02X:00.0", (unsigned)device + 1);
	return CUDA_SUCCESS;
}

static CUresult by_bus_id(CUdevice *device, const char *id)
{
	unsigned domain, bus;
	if (!device || !id || sscanf(id, "%x:%x:", &domain, &bus) != 2)
		return CUDA_ERROR_INVALID_VALUE;
	if (domain || !device_is((int)bus - 1))
		return CUDA_ERROR_INVALID_DEVICE;
	*device = (int)bus - 1;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int length, CUdevice device)
{
	ENTER(bus_id(id, length, device));
}

CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *id)
{
	ENTER(by_bus_id(device, id));
}

/* Devices do not reach each other's memory. */
static CUresult peer(int *can, CUdevice a, CUdevice b)
{
	if (!can)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is(a) || !device_is(b))
		return CUDA_ERROR_INVALID_DEVICE;
	*can = 0;
	return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice other)
{
	ENTER(peer(can, device, other));
}
