/*
 * Physical memory of the interface for virtual memory management. It is in
 * files without a name, so that it can be mapped anywhere and more than once.
 * What is not to be exported shares one file: a process may have more pieces
 * than it may have descriptors.
 */
#define _GNU_SOURCE
#include "physical.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Behind the memory in a file that is exported: what an importer must know. */
struct trailer {
	char magic[8];
	uint64_t size;
	CUmemAllocationProp prop;
};
#define TRAILER_MAGIC "WEIRPHY"

static int heap = -1;
static uint64_t heap_end; /* a hole in the heap takes no memory: there is no need to fill it */

/*
 * To take pages from the machine is slower than to copy into them, by far. So
 * that memory that is swapped out and in again comes in as fast as from a
 * device, some of what was released is kept, with its pages, for the next of
 * the same size.
 */
#define KEEP_BYTES (2ull << 30)
#define KEEP_PIECES 1024
static struct {
	uint64_t offset, size;
} kept[KEEP_PIECES];
static size_t kept_pieces;
static uint64_t kept_bytes;

static bool kept_take(struct physical *p)
{
	for (size_t i = kept_pieces; i-- > 0;) {
		if (kept[i].size != p->size)
			continue;
		p->fd = heap;
		p->offset = kept[i].offset;
		p->warm = true;
		kept_bytes -= p->size;
		kept[i] = kept[--kept_pieces];
		return true;
	}
	return false;
}

static void heap_give(const struct physical *p)
{
	bool whole = p->warm || lseek(heap, (off_t)p->offset, SEEK_HOLE) >= (off_t)(p->offset + p->size);
	if (whole && kept_pieces < KEEP_PIECES && p->size <= KEEP_BYTES - kept_bytes) {
		kept[kept_pieces].offset = p->offset;
		kept[kept_pieces++].size = p->size;
		kept_bytes += p->size;
		return;
	}
	fallocate(heap, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)p->offset, (off_t)p->size);
}

static bool heap_take(struct physical *p)
{
	if (kept_take(p))
		return true;
	if (heap < 0)
		heap = memfd_create("weir-sim", MFD_CLOEXEC);
	if (heap < 0 || ftruncate(heap, (off_t)(heap_end + p->size)))
		return false;
	p->fd = heap;
	p->offset = heap_end;
	heap_end += p->size;
	return true;
}

static bool file_take(struct physical *p)
{
	struct trailer t = { .magic = TRAILER_MAGIC, .size = p->size, .prop = p->prop };
	p->fd = memfd_create("weir-sim-shared", MFD_CLOEXEC);
	if (p->fd < 0)
		return false;
	p->own_fd = true;
	if (!ftruncate(p->fd, (off_t)p->size) && pwrite(p->fd, &t, sizeof t, (off_t)p->size) == sizeof t)
		return true;
	close(p->fd);
	return false;
}

static CUresult checked(const CUmemAllocationProp *prop)
{
	if (!prop || prop->type != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	if (prop->requestedHandleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_NOT_SUPPORTED;
	switch (prop->location.type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return device_is(prop->location.id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult create(CUmemGenericAllocationHandle *out, size_t bytes, const CUmemAllocationProp *prop,
		       unsigned long long flags)
{
	CUresult r = checked(prop);
	if (r)
		return r;
	if (!out || !bytes || bytes % GRANULARITY || flags)
		return CUDA_ERROR_INVALID_VALUE;
	bool on_device = prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
	if (on_device && fault_lost(prop->location.id))
		return CUDA_ERROR_UNKNOWN;
	if (on_device && (r = charge(prop->location.id, bytes)))
		return r;
	struct physical *p = handle_new(PHYSICAL, sizeof *p);
	if (p) {
		*p = (struct physical){ .size = bytes, .charge = on_device ? bytes : 0, .handles = 1, .prop = *prop };
		if (prop->requestedHandleTypes ? file_take(p) : heap_take(p)) {
			*out = (uintptr_t)p;
			return CUDA_SUCCESS;
		}
		handle_free(p);
	}
	if (on_device)
		state_discharge(prop->location.id, bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

bool physical_find(CUmemGenericAllocationHandle handle, struct physical **out)
{
	*out = (struct physical *)(uintptr_t)handle;
	return handle_is(*out, PHYSICAL) && (*out)->handles;
}

void physical_let_go(struct physical *p)
{
	if (p->handles || p->maps)
		return;
	if (p->own_fd)
		close(p->fd);
	else
		heap_give(p);
	if (p->charge)
		state_discharge(p->prop.location.id, p->charge);
	handle_free(p);
}

static CUresult release(CUmemGenericAllocationHandle handle)
{
	struct physical *p;
	if (!physical_find(handle, &p))
		return CUDA_ERROR_INVALID_VALUE;
	p->handles--;
	physical_let_go(p);
	return CUDA_SUCCESS;
}

static CUresult retain(CUmemGenericAllocationHandle *out, void *address)
{
	const struct range *r = range_find(&memory, (uintptr_t)address);
	if (!out || !r || r->kind != MAPPED)
		return CUDA_ERROR_INVALID_VALUE;
	((struct physical *)r->owner)->handles++;
	*out = (uintptr_t)r->owner;
	return CUDA_SUCCESS;
}

static CUresult properties(CUmemAllocationProp *out, CUmemGenericAllocationHandle handle)
{
	struct physical *p;
	if (!out || !physical_find(handle, &p))
		return CUDA_ERROR_INVALID_VALUE;
	*out = p->prop;
	return CUDA_SUCCESS;
}

static CUresult granularity(size_t *out, const CUmemAllocationProp *prop)
{
	CUresult r = checked(prop);
	if (r || !out)
		return r ? r : CUDA_ERROR_INVALID_VALUE;
	*out = GRANULARITY;
	return CUDA_SUCCESS;
}

static CUresult export(void *out, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type)
{
	struct physical *p;
	if (!out || !physical_find(handle, &p) || !p->own_fd || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_INVALID_VALUE;
	int fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	*(int *)out = fd;
	return CUDA_SUCCESS;
}

/* Imported memory is its owner's: it is not charged here. */
static CUresult import(CUmemGenericAllocationHandle *out, void *os_handle, CUmemAllocationHandleType type)
{
	struct trailer t;
	struct stat st;
	int fd = (int)(intptr_t)os_handle;
	if (!out || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_INVALID_VALUE;
	if (fstat(fd, &st) || st.st_size < (off_t)sizeof t ||
	    pread(fd, &t, sizeof t, st.st_size - (off_t)sizeof t) != sizeof t ||
	    memcmp(t.magic, TRAILER_MAGIC, sizeof t.magic) || t.size + sizeof t != (uint64_t)st.st_size)
		return CUDA_ERROR_INVALID_VALUE;
	struct physical *p = handle_new(PHYSICAL, sizeof *p);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*p = (struct physical){ .own_fd = true, .size = t.size, .handles = 1, .prop = t.prop };
	p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (p->fd < 0) {
		handle_free(p);
		return CUDA_ERROR_OPERATING_SYSTEM;
	}
	*out = (uintptr_t)p;
	return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *out, size_t bytes, const CUmemAllocationProp *prop,
		     unsigned long long flags)
{
	ENTER((fault_stop(STOP_CREATE), create(out, bytes, prop, flags)));
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
	ENTER((fault_stop(STOP_RELEASE), release(handle)));
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *out, void *address)
{
	ENTER(retain(out, address));
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *out, CUmemGenericAllocationHandle handle)
{
	ENTER(properties(out, handle));
}

CUresult cuMemGetAllocationGranularity(size_t *out, const CUmemAllocationProp *prop,
				       CUmemAllocationGranularity_flags option)
{
	(void)option;
	ENTER(granularity(out, prop));
}

CUresult cuMemExportToShareableHandle(void *out, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
				      unsigned long long flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	ENTER(export(out, handle, type));
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *out, void *os_handle,
					CUmemAllocationHandleType type)
{
	ENTER(import(out, os_handle, type));
}
