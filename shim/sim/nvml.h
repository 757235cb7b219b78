/* What the parts of the simulated NVML share. Everything is under one lock, as in the driver. */
#ifndef WEIR_SIM_NVML_H
#define WEIR_SIM_NVML_H

#include <stdbool.h>

#include "../abi/nvml.h"
#include "state.h"

#define NVML_ENTER(call) \
	do { \
		nvmlReturn_t entered_ = nvml_enter(); \
		return entered_ ? entered_ : nvml_leave(call); \
	} while (0)

nvmlReturn_t nvml_enter(void);
nvmlReturn_t nvml_leave(nvmlReturn_t result);
bool nvml_device(nvmlDevice_t handle, int *device);
void nvml_uuid(char *out, size_t size, int device);
nvmlReturn_t nvml_text(char *out, unsigned length, const char *text);

#endif
