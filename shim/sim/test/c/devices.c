/* What devices there are is what the first process says; what it says wrongly is no device. */
#include "test.h"

static void in_folder(const char *name, const char *devices)
{
	static char first[2048];
	char dir[4096];
	if (!*first)
		snprintf(first, sizeof first, "%s", getenv("WEIR_SIM"));
	snprintf(dir, sizeof dir, "%s/%s", first, name);
	setenv("WEIR_SIM", dir, 1);
	setenv("WEIR_SIM_DEVICES", devices, 1);
}

static int with(void)
{
	int count;
	size_t total;
	CUresult r = cuInit(0);
	printf("%d", r);
	for (int i = 0; !r && !cuDeviceGetCount(&count) && i < count; i++) {
		OK(cuDeviceTotalMem_v2(&total, i));
		printf(" %zu", total / (size_t)MIB);
	}
	return 0;
}

static void expect(const char *name, const char *devices, const char *want)
{
	char got[256] = "";
	in_folder(name, devices);
	struct child c = spawn("with");
	finish((struct child){ c.pid, dup(c.out) });
	CHECK(read(c.out, got, sizeof got - 1) > 0);
	close(c.out);
	if (strcmp(got, want)) {
		fprintf(stderr, "%s gave %s; want %s\n", devices, got, want);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return strcmp(argv[1], "with") ? 1 : with();
	expect("a", "1x40GiB,2x512MiB", "0 40960 512 512");
	expect("a", "1x1GiB", "0 40960 512 512"); /* they are there */
	expect("b", "", "0 81920");
	expect("c", "16x80Gi", "0 81920 81920 81920 81920 81920 81920 81920 81920 81920 81920 81920 81920 81920 81920 "
				"81920 81920");
	expect("d", "17x80GiB", "100");
	expect("d", "1x80GB", "100");
	expect("d", "x80GiB", "100");
	expect("d", "1x80GiB,", "100");
	expect("d", "0x80GiB", "100");
	expect("d", "1x0GiB", "100");
	expect("d", "1x80GiB", "0 81920"); /* what was wrong left nothing */
	return 0;
}
