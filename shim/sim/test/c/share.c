/* Two processes on one device slow each other; on two devices they do not. NVML says who used what. */
#include "test.h"

#define RUN 1500000000ull
#define AHEAD 32

/* Launches kernels of 1 ms back to back for RUN, at most 32 ahead, and prints how many ended. */
static int worker(int device)
{
	CUcontext c;
	CUevent ring[AHEAD];
	long n = 0;
	OK(cuInit(0));
	OK(cuDevicePrimaryCtxRetain(&c, device));
	OK(cuCtxSetCurrent(c));
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 64 * MIB));
	CUfunction f = kernel("spin_1ms");
	for (int i = 0; i < AHEAD; i++)
		OK(cuEventCreate(&ring[i], 0));
	for (uint64_t end = now() + RUN; now() < end; n++) {
		OK(cuEventSynchronize(ring[n % AHEAD]));
		OK(launch(f, NULL));
		OK(cuEventRecord(ring[n % AHEAD], NULL));
	}
	OK(cuCtxSynchronize());
	printf("%ld\n", n);
	return 0;
}

static long result(struct child c)
{
	char text[64] = "";
	CHECK(read(c.out, text, sizeof text - 1) > 0);
	finish(c);
	return atol(text);
}

static void look(const struct child *c)
{
	nvmlDevice_t d;
	nvmlUtilization_t u;
	nvmlProcessInfo_v2_t p[8];
	nvmlProcessInfo_v1_t p1[8];
	nvmlProcessUtilizationSample_t s[8];
	unsigned n = 8, n1 = 1, ns = 8, sum = 0;
	OK(nvmlInit_v2());
	OK(nvmlDeviceGetHandleByIndex_v2(0, &d));
	OK(nvmlDeviceGetUtilizationRates(d, &u));
	CHECK(u.gpu >= 90);
	OK(nvmlDeviceGetComputeRunningProcesses_v3(d, &n, p));
	CHECK(n == 2);
	GIVES(NVML_ERROR_INSUFFICIENT_SIZE, nvmlDeviceGetComputeRunningProcesses(d, &n1, p1));
	CHECK(n1 == 2 && p1[0].pid == p[0].pid);
	for (int i = 0; i < 2; i++)
		CHECK((p[i].pid == (unsigned)c[0].pid || p[i].pid == (unsigned)c[1].pid) && p[i].usedGpuMemory == 64 * MIB);
	OK(nvmlDeviceGetProcessUtilization(d, s, &ns, 0));
	CHECK(ns == 2);
	for (int i = 0; i < 2; i++) {
		CHECK(s[i].smUtil >= 30 && s[i].smUtil <= 70);
		sum += s[i].smUtil;
	}
	CHECK(sum >= 90 && sum <= 101);
	OK(nvmlShutdown());
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return worker(atoi(argv[1]));
	struct child alone = spawn("0");
	long one = result(alone);
	struct child both[] = { spawn("0"), spawn("0") };
	usleep(1100000);
	look(both);
	long a = result(both[0]), b = result(both[1]);
	struct child apart[] = { spawn("0"), spawn("1") };
	long x = result(apart[0]), y = result(apart[1]);
	fprintf(stderr, "alone %ld; together %ld %ld; apart %ld %ld\n", one, a, b, x, y);
	CHECK(one >= 1200 && one <= 1510 + AHEAD);
	CHECK(a + b >= one * 85 / 100 && a + b <= one * 115 / 100);
	CHECK(a * 10 >= b * 7 && b * 10 >= a * 7);
	CHECK(x >= one * 80 / 100 && y >= one * 80 / 100);
	return 0;
}
