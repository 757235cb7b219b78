/*
 * Physical memory of the interface for virtual memory management: pages of this
 * process that move from one address to another, which costs next to nothing.
 * What is exported, or mapped in two places at once, is in a file without a name.
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

/*
 * To take pages from the machine is slower than to copy into them, by far. So
 * that memory that is swapped out and in again comes in as fast as from a
 * device, some of what was released is kept, with its pages, for the next of
 * the same size.
 */
#define KEEP_BYTES (2ull << 30)
#define KEEP_PIECES 1024
static struct {
	uint64_t home, size;
} kept[KEEP_PIECES];
static size_t kept_pieces;
static uint64_t kept_bytes;

static uint64_t kept_take(uint64_t size)
{
	for (size_t i = kept_pieces; i-- > 0;) {
		if (kept[i].size != size)
			continue;
		uint64_t home = kept[i].home;
		kept_bytes -= size;
		kept[i] = kept[--kept_pieces];
		return home;
	}
	return 0;
}

/* Pages of this process, large ones where the machine has them. While they are mapped nowhere they are at home. */
static bool pages_take(struct physical *p)
{
	p->home = kept_take(p->size);
	if (p->home)
		return true;
	p->home = addresses_take(p->size, GRANULARITY);
	if (!p->home || mprotect((void *)(uintptr_t)p->home, p->size, PROT_READ | PROT_WRITE))
		return false;
	madvise((void *)(uintptr_t)p->home, p->size, MADV_HUGEPAGE);
	return true;
}

static void pages_give(const struct physical *p)
{
	if (kept_pieces < KEEP_PIECES && p->size <= KEEP_BYTES - kept_bytes) {
		kept[kept_pieces].home = p->home;
		kept[kept_pieces++].size = p->size;
		kept_bytes += p->size;
		return;
	}
	munmap((void *)(uintptr_t)p->home, p->size);
}

static bool file_take(struct physical *p)
{
	struct trailer t = { .magic = TRAILER_MAGIC, .size = p->size, .prop = p->prop };
	p->fd = memfd_create("weir-sim-shared", MFD_CLOEXEC);
	if (p->fd < 0)
		return false;
	p->filed = true;
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
		if (prop->requestedHandleTypes ? file_take(p) : pages_take(p)) {
			*out = (uintptr_t)p;
			return CUDA_SUCCESS;
		}
		handle_free(p);
	}
	if (on_device)
		state_discharge(prop->location.id, bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

bool physical_file(struct physical *p)
{
	struct physical file = { .size = p->size, .prop = p->prop };
	if (p->filed)
		return true;
	if (!file_take(&file))
		return false;
	for (uint64_t done = 0; done < p->size;) {
		ssize_t n = pwrite(file.fd, (void *)(uintptr_t)(p->home + done), p->size - done, (off_t)done);
		if (n <= 0) {
			close(file.fd);
			return false;
		}
		done += (uint64_t)n;
	}
	munmap((void *)(uintptr_t)p->home, p->size);
	p->filed = true;
	p->fd = file.fd;
	return true;
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
	if (p->filed)
		close(p->fd);
	else
		pages_give(p);
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
	if (!out || !physical_find(handle, &p) || !p->filed || !p->prop.requestedHandleTypes || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
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
	*p = (struct physical){ .filed = true, .size = t.size, .handles = 1, .prop = t.prop };
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
