/*
 * Puts another process's state on the GPU into its own memory and back, by the
 * driver's checkpoints, and says how long each step took.
 *
 * usage: checkpoint LIBCUDA PROCESS
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int step_fn(int process, void *arguments);

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static const char *const steps[] = {"Lock", "Checkpoint", "Restore", "Unlock"};
	void *cuda = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;

	if (cuda == NULL) {
		fprintf(stderr, "usage: checkpoint LIBCUDA PROCESS\n");
		return 2;
	}
	int (*init)(unsigned int) = (int (*)(unsigned int))dlsym(cuda, "cuInit");
	if (init == NULL || init(0) != 0) {
		fprintf(stderr, "the driver does not begin\n");
		return 1;
	}
	for (int i = 0; i < 4; i++) {
		char name[64];
		snprintf(name, sizeof name, "cuCheckpointProcess%s", steps[i]);
		step_fn *step = (step_fn *)dlsym(cuda, name);
		if (step == NULL) {
			printf("this driver has no %s\n", name);
			return 0;
		}
		double began = seconds();
		int r = step(atoi(argv[2]), NULL);
		printf("%s: %.1f ms\n", steps[i], (seconds() - began) * 1e3);
		if (r != 0) {
			printf("%s is error %d\n", name, r);
			return 1;
		}
	}
	return 0;
}
