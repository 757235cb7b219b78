/*
 * Takes memory of the device in one of the ways that there are, in pieces until
 * there is none left, says how much it has, and keeps it until its input ends.
 *
 * usage: family NAME PIECE-MIB    or family, which lists the names
 */
#include "../../../shim/test/c/families.h"

#define MOST 4096

int main(int argc, char **argv)
{
	static uint64_t had[MOST][2];
	size_t free_bytes, total;
	CUresult r = CUDA_SUCCESS;
	int n = 0;

	if (argc < 3) {
		for (int i = 0; i < family_count; i++)
			puts(families[i].name);
		return 0;
	}
	const struct family *f = family(argv[1]);
	uint64_t piece = strtoull(argv[2], NULL, 10) * MIB;
	EXPECT(f != NULL && piece > 0, "usage: family NAME PIECE-MIB");
	try_begin(0);
	while (n < MOST && (r = f->take(piece, had[n])) == CUDA_SUCCESS)
		n++;
	OK(cuMemGetInfo_v2(&free_bytes, &total));
	printf("%llu MiB, then error %d; %zu of %zu MiB free\n", (unsigned long long)((uint64_t)n * piece / MIB), (int)r,
	       free_bytes >> 20, total >> 20);
	fflush(stdout);
	while (getchar() != EOF)
		;
	while (n-- > 0)
		f->give(piece, had[n]);
	return 0;
}
