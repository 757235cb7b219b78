/* The beginning: the process' lock, cuInit, what a fork leaves behind, versions and the names of errors. */
#define _GNU_SOURCE
#include "sim.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool begun, forked;

void sim_lock(void)
{
	pthread_mutex_lock(&lock);
}

void sim_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

CUresult sim_enter(void)
{
	sim_lock();
	if (begun && !forked)
		return CUDA_SUCCESS;
	sim_unlock();
	return CUDA_ERROR_NOT_INITIALIZED;
}

CUresult sim_leave(CUresult result)
{
	sim_unlock();
	return result;
}

/* As with the real driver, nothing of it works in the child of a process that began to use it. */
static void in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	forked = begun;
	state_forked();
	host_forked();
}

static CUresult begin(void)
{
	if (forked)
		return CUDA_ERROR_NOT_INITIALIZED;
	if (begun)
		return CUDA_SUCCESS;
	if (!state_open())
		return CUDA_ERROR_NO_DEVICE;
	if (!state_join())
		return CUDA_ERROR_OPERATING_SYSTEM;
	pthread_atfork(sim_lock, sim_unlock, in_child);
	begun = true;
	return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	sim_lock();
	return sim_leave(begin());
}

CUresult cuDriverGetVersion(int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = WEIR_CUDA_VERSION;
	return CUDA_SUCCESS;
}

/* The tables that the runtime asks for are nowhere described, and not simulated. */
CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
	if (!table || !id)
		return CUDA_ERROR_INVALID_VALUE;
	*table = NULL;
	return CUDA_ERROR_NOT_FOUND;
}

static const struct {
	CUresult error;
	const char *name, *text;
} errors[] = {
#define E(name, text) { name, #name, text }
	E(CUDA_SUCCESS, "no error"),
	E(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
	E(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
	E(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
	E(CUDA_ERROR_NO_DEVICE, "no device is there"),
	E(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
	E(CUDA_ERROR_INVALID_IMAGE, "invalid kernel image"),
	E(CUDA_ERROR_INVALID_CONTEXT, "invalid context"),
	E(CUDA_ERROR_MAP_FAILED, "mapping failed"),
	E(CUDA_ERROR_OPERATING_SYSTEM, "the operating system refused a call"),
	E(CUDA_ERROR_INVALID_HANDLE, "invalid handle"),
	E(CUDA_ERROR_ILLEGAL_STATE, "not in this state"),
	E(CUDA_ERROR_NOT_FOUND, "the name was not found"),
	E(CUDA_ERROR_NOT_READY, "not ready"),
	E(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access"),
	E(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, "the primary context is in use"),
	E(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the context is destroyed"),
	E(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "the memory is registered"),
	E(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "the memory is not registered"),
	E(CUDA_ERROR_NOT_SUPPORTED, "not supported"),
	E(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "not permitted when a stream is capturing"),
	E(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the capture failed before"),
	E(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture was not begun in this stream"),
	E(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "a stream that joined the capture was not joined back"),
	E(CUDA_ERROR_UNKNOWN, "unknown error"),
#undef E
};

static CUresult describe(CUresult error, const char **out, bool name)
{
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].error == error) {
			*out = name ? errors[i].name : errors[i].text;
			return CUDA_SUCCESS;
		}
	*out = NULL;
	return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorName(CUresult error, const char **name)
{
	return describe(error, name, true);
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
	return describe(error, text, false);
}
