/* Values for the driver's functions: see fuzz.h. */
#include "fuzz.h"

#include <string.h>

#define SLOTS 12
#define KINDS 128
#define HOST (1u << 20)

static struct made {
	bool there;
	uint64_t value, bytes;
	CUcontext in;
} made[KINDS][SLOTS];

/* What the last call has ended, for the next one: nothing else can be at its address yet. */
static struct {
	char kind;
	uint64_t value;
	int age;
} ghost;

unsigned char fuzz_answer[2][FUZZ_ANSWER];
static unsigned char host[HOST];
static uint64_t state;

static enum fuzz_way way;

void fuzz_begin(uint64_t seed, enum fuzz_way how)
{
	way = how;
	state = seed * 0x9e3779b97f4a7c15ull + 1;
}

uint64_t fuzz_random(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

void fuzz_next(void)
{
	ghost.age++;
}

void fuzz_made(char kind, uint64_t value, CUcontext in, uint64_t bytes)
{
	made[(int)kind][fuzz_random(SLOTS)] = (struct made){true, value, bytes, in};
}

void fuzz_ended(char kind, int slot)
{
	struct made *m = &made[(int)kind][slot];
	ghost.kind = kind;
	ghost.value = m->value;
	ghost.age = 0;
	m->there = false;
	/* One handle may have been given out twice: primary contexts are. */
	for (int i = 0; i < SLOTS; i++)
		if (made[(int)kind][i].value == m->value)
			made[(int)kind][i].there = false;
}

void fuzz_context_ended(CUcontext ctx)
{
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < SLOTS; i++)
			if (made[k][i].in == ctx || (k == 'C' && made[k][i].value == (uint64_t)(uintptr_t)ctx))
				made[k][i].there = false;
}

static uint64_t any(const uint64_t *list, size_t count)
{
	return list[fuzz_random(count)];
}
#define ANY(...) any((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* What is none: small, odd, in no address space, or somewhere in this program. */
static uint64_t wild(void)
{
	return ANY(3, 8, 4097, 1ull << 63, UINT64_MAX, 0xdeadbeefdeadbee8, (uint64_t)(uintptr_t)host,
		   (uint64_t)(uintptr_t)host + 24, 0x7fffffff0000);
}

static bool is_ghost_wanted(char kind)
{
	return ghost.age == 1 && ghost.kind == kind && kind != 'C' && fuzz_random(2) == 0;
}

static struct fuzz_value handle(char kind)
{
	int slot = (int)fuzz_random(SLOTS);
	const struct made *m = &made[(int)kind][slot];

	/* What was freed of swappable memory may be there still, with other pieces beside it. */
	if (is_ghost_wanted(kind) && (kind != 'D' || way != FUZZ_TAME))
		return (struct fuzz_value){.value = ghost.value, .slot = -1, .wild = true};
	for (int i = 0; i < SLOTS && !m->there; i++)
		m = &made[(int)kind][slot = (slot + 1) % SLOTS];
	if (m->there && fuzz_random(12) != 0)
		return (struct fuzz_value){.value = m->value, .slot = slot};
	if (kind == 'S')
		return (struct fuzz_value){.value = ANY(0, 0, 0, 1, 2, wild()), .slot = -1};
	return (struct fuzz_value){.value = fuzz_random(3) == 0 ? 0 : wild(), .slot = -1, .wild = true};
}

/* Enough for what is touched without being looked at by the driver. */
#define TOUCHED 512

static struct fuzz_value sure_address(void)
{
	struct fuzz_value v = handle('D');
	CUdeviceptr base;
	size_t bytes;
	if (v.slot < 0 || cuMemGetAddressRange_v2(&base, &bytes, v.value) != CUDA_SUCCESS || base + bytes - v.value < TOUCHED)
		return (struct fuzz_value){.value = (uint64_t)(uintptr_t)host, .slot = -1};
	return v;
}

static struct fuzz_value address(void)
{
	struct fuzz_value v = handle('D');
	/* What lies behind may be another's, or nobody's: that is not the same in two runs. */
	if (v.slot >= 0 && way != FUZZ_TAME && fuzz_random(6) == 0) {
		uint64_t bytes = made['D'][v.slot].bytes;
		v.value += ANY(0, bytes / 2, bytes - 1);
	}
	return v;
}

static struct fuzz_value sized(uint64_t n)
{
	return (struct fuzz_value){.value = n, .slot = -1, .huge = n > 1ull << 40};
}

static struct fuzz_value bytes_any(void)
{
	if (way == FUZZ_TAME)
		return sized(ANY(512, 4096, 65536, 1 << 20, 2 << 20, 6 << 20, 0, 1ull << 63, UINT64_MAX));
	if (way == FUZZ_VIEWS)
		return sized(ANY(0, 1, 511, 512, 4096, 65536, 100000, 1 << 20, (1 << 20) + 1, 2 << 20, (2 << 20) + 512, 6 << 20));
	return sized(ANY(0, 1, 511, 512, 4096, 65536, 100000, 1 << 20, (1 << 20) + 1, 2 << 20, (2 << 20) + 512, 6 << 20, 1ull << 45,
			 1ull << 63, UINT64_MAX, UINT64_MAX - 511));
}

/* Of physical memory, and where it is mapped. */
static struct fuzz_value bytes_whole(void)
{
	return sized(ANY(2 << 20, 2 << 20, 2 << 20, 2 << 20, 4 << 20, 0, 4096, (2 << 20) + 1,
			 way == FUZZ_VIEWS ? 0 : 1ull << 63, way == FUZZ_VIEWS ? 0 : UINT64_MAX));
}

/* Few enough for any memory that is touched; far more than any has, where the driver sees that. */
static struct fuzz_value bytes_few(void)
{
	return sized(ANY(0, 1, 2, 16, 128, 256, 512, 512, 256, 1ull << 45, UINT64_MAX, 1ull << 63));
}

#define HUGE_NUMBER 0x7fffffffu

static uint64_t number(void)
{
	uint64_t n = ANY(0, 1, 1, 1, 2, 3, 4, 8, 64, 1024, 0x7fffffff, 0x80000000, 0xffffffff);
	return way == FUZZ_VIEWS ? n % HUGE_NUMBER : n;
}

static CUmemLocation location(void)
{
	bool right = fuzz_random(4) != 0;
	return (CUmemLocation){right ? CU_MEM_LOCATION_TYPE_DEVICE : (CUmemLocationType)ANY(0, 1, 2, 77),
			       right ? (int)fuzz_random(2) : (int)ANY(0, 1, 99, 0xffffffff)};
}

/* A description of something, most of it right. */
static void *description(char place)
{
	static union {
		CUDA_ARRAY_DESCRIPTOR a;
		CUDA_ARRAY3D_DESCRIPTOR l;
		CUmemAllocationProp p;
		CUmemPoolProps q;
		CUDA_MEM_ALLOC_NODE_PARAMS k;
		CUlaunchConfig c;
		CUDA_GRAPH_INSTANTIATE_PARAMS i;
		CUDA_MEMCPY2D m;
		CUDA_LAUNCH_PARAMS w[2];
	} d;
	CUarray_format format = (CUarray_format)ANY(1, 2, 0x20, 0x10, 0, 0x77);

	memset(&d, 0, sizeof d);
	switch (place) {
	case 'a':
		d.a = (CUDA_ARRAY_DESCRIPTOR){number(), number(), format, (unsigned int)ANY(1, 2, 4, 3, 0, 99)};
		break;
	case 'l':
		d.l = (CUDA_ARRAY3D_DESCRIPTOR){number(), number(), number(), format, (unsigned int)ANY(1, 2, 4, 3, 0, 99),
						(unsigned int)ANY(0, 0, 0, 1, 4, 0x80, 0x40, 0xffffffff)};
		break;
	case 'p':
		d.p = (CUmemAllocationProp){.type = (CUmemAllocationType)ANY(1, 1, 1, 1, 1, 1, 1, 0, 2, 99), .location = location()};
		break;
	case 'q':
		d.q = (CUmemPoolProps){.allocType = (CUmemAllocationType)ANY(1, 1, 1, 1, 1, 1, 1, 0, 2, 99), .location = location()};
		break;
	case 'k':
		d.k = (CUDA_MEM_ALLOC_NODE_PARAMS){
			.poolProps = {.allocType = (CUmemAllocationType)ANY(1, 1, 1, 0), .location = location()},
			.bytesize = ANY(0, 1, 4096, 1 << 20, 3 << 20)};
		break;
	case 'c': {
		unsigned int n[6];
		for (int i = 0; i < 6; i++)
			n[i] = (unsigned int)number();
		d.c = (CUlaunchConfig){n[0], n[1], n[2], n[3], n[4], n[5], 0, (CUstream)(uintptr_t)handle('S').value, NULL, 0};
		break;
	}
	case 'i':
		d.i = (CUDA_GRAPH_INSTANTIATE_PARAMS){.flags = ANY(0, 0, 1, 2, 4, 99),
						      .hUploadStream = (CUstream)(uintptr_t)handle('S').value};
		break;
	case 'm':
		d.m = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = host, .srcPitch = ANY(64, 16, 0),
				      .dstMemoryType = (CUmemorytype)ANY(2, 2, 2, 77, 0), .dstDevice = handle('D').value,
				      .dstPitch = ANY(64, 16, 0), .WidthInBytes = ANY(16, 0, 32), .Height = ANY(4, 0, 1)};
		break;
	default:
		for (int i = 0; i < 2; i++)
			d.w[i] = (CUDA_LAUNCH_PARAMS){(CUfunction)(uintptr_t)handle('F').value, 1, 1, 1, 1, 1, 1, 0,
						      (CUstream)(uintptr_t)handle('S').value, NULL};
	}
	return fuzz_random(16) == 0 ? NULL : &d;
}

static struct fuzz_value numbered(void)
{
	uint64_t n = number();
	return (struct fuzz_value){.value = n, .slot = -1, .huge = n >= HUGE_NUMBER};
}

/* Arrays are as large as three numbers multiplied. */
static struct fuzz_value described(char place)
{
	const void *d = description(place);
	const CUDA_ARRAY3D_DESCRIPTOR *l = d;
	const CUDA_ARRAY_DESCRIPTOR *a = d;
	struct fuzz_value v = {.value = (uint64_t)(uintptr_t)d, .slot = -1};

	if (d != NULL && place == 'a')
		v.huge = a->Width >= HUGE_NUMBER || a->Height >= HUGE_NUMBER;
	if (d != NULL && place == 'l')
		v.huge = l->Width >= HUGE_NUMBER || l->Height >= HUGE_NUMBER || l->Depth >= HUGE_NUMBER;
	return v;
}

struct fuzz_value fuzz_choose(char place)
{
	switch (place) {
	case 'o':
	case 'v':
		return (struct fuzz_value){
			.value = fuzz_random(14) == 0 ? 0 : (uint64_t)(uintptr_t)fuzz_answer[place == 'v'], .slot = -1};
	case 'D':
		return address();
	case 'E':
		if (is_ghost_wanted('D'))
			return (struct fuzz_value){.value = ghost.value, .slot = -1, .wild = true};
		return address();
	case 'U':
		return sure_address();
	case 'H':
		return (struct fuzz_value){.value = (uint64_t)(uintptr_t)host, .slot = -1};
	case 'B':
		return bytes_any();
	case 'h':
		return (struct fuzz_value){.value = ANY(0, 1, 2, 16, 128, TOUCHED), .slot = -1};
	case 'P':
		return bytes_whole();
	case 'b':
		return bytes_few();
	case 'u':
		return sized(ANY(0, 1, 2, 16, 128, 1ull << 45, UINT64_MAX, 1ull << 62));
	case 'y':
		return sized(ANY(0, 1, 2, 4, way == FUZZ_WILD ? UINT64_MAX / 512 : 3));
	case 'd':
		return (struct fuzz_value){.value = ANY(0, 0, 0, 0, 1, 1, 99, 0xffffffff), .slot = -1};
	case 'n':
		return numbered();
	case 'e':
		return (struct fuzz_value){.value = ANY(4, 8, 16, 0, 3, 0xffffffff), .slot = -1};
	case 't':
		return (struct fuzz_value){.value = ANY(2, 2, 4, 6, 8, 9, 12, 0, 5, 99, 0xffffffff), .slot = -1};
	case '0':
		return (struct fuzz_value){.slot = -1};
	case 'S':
	case 'C':
	case 'F':
	case 'G':
	case 'X':
	case 'Q':
	case 'A':
	case 'L':
	case 'M':
	case 'R':
		return handle(place);
	default:
		return described(place);
	}
}
