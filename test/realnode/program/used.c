/* Says how much memory of its first device is taken, by the driver's word. */
#include <stdio.h>

#include "abi/nvml.h"

int main(void)
{
	nvmlDevice_t device;
	nvmlMemory_t memory;

	if (nvmlInit_v2() != NVML_SUCCESS || nvmlDeviceGetHandleByIndex_v2(0, &device) != NVML_SUCCESS ||
	    nvmlDeviceGetMemoryInfo(device, &memory) != NVML_SUCCESS)
		return 1;
	printf("%llu\n", memory.used);
	return 0;
}
