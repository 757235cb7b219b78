/*
 * Memory shared with other processes by a handle. The pages of an allocation
 * are a process' own until somebody asks for a handle; then they move into a
 * file in the folder of the state, at the same address. The file goes with the
 * allocation, and with the process by whoever finds it dead.
 */
#define _GNU_SOURCE
#include "sim.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x4350495249455757ull
#define PAGE 4096

struct handle {
	uint64_t magic, serial, size;
	int32_t slot, device;
};
_Static_assert(sizeof(struct handle) <= sizeof(CUipcMemHandle), "a handle holds it");

static int file_path(char *path, size_t size, int slot, uint64_t serial)
{
	char name[64];
	snprintf(name, sizeof name, "ipc-%d-%llu", slot, (unsigned long long)serial);
	return state_path(path, size, name);
}

void shared_unlink(uint64_t serial)
{
	char path[4096];
	if (!file_path(path, sizeof path, state_slot, serial))
		unlink(path);
}

/* Writes pages that are not all zero: what was never touched takes no space. */
static bool write_pages(int fd, const unsigned char *from, uint64_t bytes)
{
	static const unsigned char zero[PAGE];
	for (uint64_t at = 0; at < bytes; at += PAGE)
		if (memcmp(from + at, zero, PAGE) && pwrite(fd, from + at, PAGE, (off_t)at) != PAGE)
			return false;
	return true;
}

static bool move_to_file(struct range *r, int fd, uint64_t bytes)
{
	void *p = (void *)(uintptr_t)r->base;
	return !ftruncate(fd, (off_t)bytes) && write_pages(fd, p, bytes) &&
	       mmap(p, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
}

static bool share(struct range *r)
{
	static uint64_t serial;
	char path[4096];
	if (r->serial)
		return true;
	if (file_path(path, sizeof path, state_slot, serial + 1))
		return false;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return false;
	(void)!fchmod(fd, 0666);
	if (move_to_file(r, fd, round_up(r->size, PAGE)))
		r->serial = ++serial;
	else
		unlink(path);
	close(fd);
	return r->serial != 0;
}

static CUresult get(CUipcMemHandle *out, CUdeviceptr address)
{
	struct range *r = range_find(&memory, address);
	if (!out || !r || r->kind != PLAIN)
		return CUDA_ERROR_INVALID_VALUE;
	if (!share(r))
		return CUDA_ERROR_OPERATING_SYSTEM;
	struct handle h = { .magic = MAGIC, .serial = r->serial, .size = r->size, .slot = state_slot,
			    .device = r->device };
	memset(out, 0, sizeof *out);
	memcpy(out, &h, sizeof h);
	return CUDA_SUCCESS;
}

static CUresult open_handle(CUdeviceptr *out, const CUipcMemHandle *handle)
{
	struct handle h;
	struct stat st;
	struct ctx *c;
	char path[4096];
	CUresult r = ctx_current(&c);
	if (r)
		return r;
	memcpy(&h, handle, sizeof h);
	if (!out || h.magic != MAGIC || h.slot < 0 || h.slot >= SIM_SLOTS || !h.size)
		return CUDA_ERROR_INVALID_VALUE;
	if (h.slot == state_slot || h.device != c->device)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (file_path(path, sizeof path, h.slot, h.serial))
		return CUDA_ERROR_INVALID_VALUE;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	uint64_t size = round_up(h.size, PAGE);
	void *p = !fstat(fd, &st) && (uint64_t)st.st_size == size ?
			  mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) :
			  MAP_FAILED;
	close(fd);
	if (p == MAP_FAILED)
		return CUDA_ERROR_MAP_FAILED;
	struct range range = { .base = (uintptr_t)p, .size = h.size, .kind = IMPORTED, .ctx = c, .device = c->device,
			       .access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
	if (!range_add(&memory, &range)) {
		munmap(p, size);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*out = range.base;
	return CUDA_SUCCESS;
}

static CUresult close_handle(CUdeviceptr address)
{
	struct range *r = range_find(&memory, address);
	if (!r || r->kind != IMPORTED || r->base != address)
		return CUDA_ERROR_INVALID_VALUE;
	host_memory_drop(r);
	return CUDA_SUCCESS;
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *out, CUdeviceptr address)
{
	ENTER(get(out, address));
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *out, CUipcMemHandle handle, unsigned int flags)
{
	(void)flags;
	ENTER(open_handle(out, &handle));
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *out, CUipcMemHandle handle, unsigned int flags)
{
	(void)flags;
	ENTER(open_handle(out, &handle));
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address)
{
	ENTER(close_handle(address));
}
