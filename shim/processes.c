/*
 * NVML's lists of processes: those of the container, by the numbers that they
 * have for themselves. The driver numbers processes as the machine does or as
 * the container does; who the container's are stands in the rules and the cells.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/nvml.h"
#include "nvml.h"
#include "self.h"

/* The container's processes. */
struct numbers {
	uint32_t machine[WEIR_CELLS], own[WEIR_CELLS];
	int count;
};

static void read_numbers(struct self *self, struct numbers *n)
{
	const struct pages *p = atomic_load(&self->pages);

	n->count = 0;
	for (uint32_t i = 0; i < WEIR_CELLS; i++) {
		uint32_t machine = atomic_load(&p->rules->pid[i]), own = atomic_load(&p->cells->cell[i].pid);
		if (!atomic_load(&p->rules->live[i]) || machine == 0)
			continue;
		n->machine[n->count] = machine;
		n->own[n->count++] = own;
	}
}

static int find(const uint32_t *in, int count, uint32_t pid)
{
	for (int i = 0; i < count; i++)
		if (in[i] == pid)
			return i;
	return -1;
}

/* What is told of a process begins with its number, whatever the form. */
static uint32_t *pid_of(char *list, size_t size, unsigned int i)
{
	return (uint32_t *)(list + i * size);
}

/* Leaves only the container's in the list; how many these are. */
static unsigned int keep_own(struct self *self, char *list, size_t size, unsigned int count)
{
	struct numbers n;
	bool machines = false;
	unsigned int kept = 0;

	read_numbers(self, &n);
	for (unsigned int i = 0; i < count && !machines; i++)
		machines = find(n.machine, n.count, *pid_of(list, size, i)) >= 0;
	for (unsigned int i = 0; i < count; i++) {
		int at = find(machines ? n.machine : n.own, n.count, *pid_of(list, size, i));
		if (at < 0)
			continue;
		memmove(list + kept * size, list + i * size, size);
		*pid_of(list, size, kept++) = n.own[at];
	}
	return kept;
}

/* What is asked of the real library. */
struct question {
	const char *name;
	nvmlDevice_t device;
	bool samples; /* of what processes do; else the list of them */
	unsigned long long since;
};

static nvmlReturn_t ask(const struct question *q, unsigned int *count, void *list)
{
	nvmlReturn_t (*processes)(nvmlDevice_t, unsigned int *, void *);
	nvmlReturn_t (*samples)(nvmlDevice_t, void *, unsigned int *, unsigned long long);
	void *f = nvml_real(q->name);

	if (f == NULL)
		return NVML_ERROR_FUNCTION_NOT_FOUND;
	*(void **)&processes = f;
	*(void **)&samples = f;
	return q->samples ? samples(q->device, list, count, q->since) : processes(q->device, count, list);
}

/* All that the real library tells; the caller frees it. */
#define MOST 65536u
static nvmlReturn_t ask_all(const struct question *q, size_t size, unsigned int *count, char **list)
{
	nvmlReturn_t r;

	for (unsigned int room = 128;; room *= 2) {
		*list = calloc(room, size);
		if (*list == NULL)
			return NVML_ERROR_UNKNOWN;
		*count = room;
		r = ask(q, count, *list);
		if (r != NVML_ERROR_INSUFFICIENT_SIZE || room >= MOST)
			break;
		free(*list);
	}
	if (r != NVML_SUCCESS)
		free(*list);
	return r;
}

static nvmlReturn_t answer(const struct question *q, unsigned int *count, void *out, size_t size)
{
	struct self *self = self_member();
	unsigned int n;
	char *list;

	if (self == NULL || count == NULL)
		return ask(q, count, out);
	nvmlReturn_t r = ask_all(q, size, &n, &list);
	if (r != NVML_SUCCESS)
		return r;
	n = keep_own(self, list, size, n);
	bool room = n <= *count && (out != NULL || n == 0);
	if (room && n > 0)
		memcpy(out, list, n * size);
	free(list);
	*count = n;
	if (n == 0 && q->samples)
		return NVML_ERROR_NOT_FOUND;
	return room ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

#define LIST(call, form) \
	nvmlReturn_t call(nvmlDevice_t device, unsigned int *count, form *infos) \
	{ \
		struct question q = {.name = #call, .device = device}; \
		return answer(&q, count, infos, sizeof *infos); \
	}

LIST(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t)
LIST(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_v2_t)

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples,
					     unsigned int *count, unsigned long long last_seen)
{
	struct question q = {"nvmlDeviceGetProcessUtilization", device, true, last_seen};
	return answer(&q, count, samples, sizeof *samples);
}

/* Other ways to the same, whose forms change with drivers: not for a container. */
static void *open_to_all(const char *name, nvmlReturn_t *no)
{
	bool held = self_member() != NULL;
	*no = held ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_FUNCTION_NOT_FOUND;
	return held ? NULL : nvml_real(name);
}

nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, void *list)
{
	nvmlReturn_t no, (*call)(nvmlDevice_t, void *);
	*(void **)&call = open_to_all("nvmlDeviceGetRunningProcessDetailList", &no);
	return call != NULL ? call(device, list) : no;
}

nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device, void *info)
{
	nvmlReturn_t no, (*call)(nvmlDevice_t, void *);
	*(void **)&call = open_to_all("nvmlDeviceGetProcessesUtilizationInfo", &no);
	return call != NULL ? call(device, info) : no;
}

nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t device, unsigned int *count, unsigned int *pids)
{
	nvmlReturn_t no, (*call)(nvmlDevice_t, unsigned int *, unsigned int *);
	*(void **)&call = open_to_all("nvmlDeviceGetAccountingPids", &no);
	return call != NULL ? call(device, count, pids) : no;
}
