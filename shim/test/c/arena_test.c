/* The arena without a driver: what others of the container write where it begins is not believed. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../arena.h"
#include "try.h"

#define CHUNKS 4u

int main(void)
{
	size_t bytes = (CHUNKS + 1) * (size_t)WEIR_CHUNK;
	int fd = memfd_create("arena", MFD_CLOEXEC);
	uint32_t slots[CHUNKS + 1];
	struct arena a;

	EXPECT(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "memory");
	struct weir_arena *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(at != MAP_FAILED, "memory");
	*at = (struct weir_arena){.magic = WEIR_MAGIC, .version = WEIR_VERSION, .chunks = CHUNKS, .start = WEIR_CHUNK};
	EXPECT(arena_open(&a, fd), "an arena");

	at->chunks = UINT32_MAX;
	at->start = 1ull << 60;
	EXPECT(!arena_claim(&a, 0, CHUNKS + 1, slots), "more slots than there are");
	EXPECT(arena_claim(&a, 0, CHUNKS, slots), "all slots");
	for (uint32_t i = 0; i < CHUNKS; i++) {
		const char *p = arena_bytes(&a, slots[i]);
		EXPECT(p >= (char *)a.at + WEIR_CHUNK && p + WEIR_CHUNK <= (char *)a.at + bytes, "slot %u is elsewhere", i);
	}
	arena_free(&a, CHUNKS, slots);
	at->chunks = 0;
	EXPECT(arena_claim(&a, 0, CHUNKS, slots), "all slots again");
	return 0;
}
