/*
 * The file that all processes share: made by the first, locked where memory is
 * counted, cleared of those that died. Locks are those of open files (OFD):
 * the kernel drops them with the process, whatever it was doing.
 *
 * Byte 0 of DIR/lock is the lock; byte 1+N says that slot N lives. DIR/pids is
 * locked in the old way of POSIX in addition, since the kernel says who holds
 * such a lock, in the numbers of the one who asks: that is how processes in
 * containers are told apart from outside.
 */
#define _GNU_SOURCE
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct sim_state *state;
int state_slot = -1;

static int lock_fd = -1, pids_fd = -1;

const char *state_dir(void)
{
	const char *dir = getenv("WEIR_SIM");
	return dir && *dir ? dir : SIM_DEFAULT_DIR;
}

int state_path(char *out, size_t size, const char *file)
{
	int n = snprintf(out, size, "%s/%s", state_dir(), file);
	return n > 0 && (size_t)n < size ? 0 : -1;
}

/* Processes of other users, in other containers, open the same files. */
static int open_shared(const char *file)
{
	char path[4096];
	if (state_path(path, sizeof path, file))
		return -1;
	/* First without O_CREAT: in a folder such as /tmp it is refused for the files of another user. */
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0)
		(void)!fchmod(fd, 0666); /* whatever the umask; refused where another user was faster, who does it */
	return fd;
}

static int lock_byte(int fd, int command, short type, off_t byte, struct flock *answer)
{
	int r;
	do {
		*answer = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
		r = fcntl(fd, command, answer);
	} while (r && errno == EINTR);
	return r;
}

void state_lock(void)
{
	struct flock unused;
	lock_byte(lock_fd, F_OFD_SETLKW, F_WRLCK, 0, &unused);
}

void state_unlock(void)
{
	struct flock unused;
	lock_byte(lock_fd, F_OFD_SETLK, F_UNLCK, 0, &unused);
}

/* Fills a new file, under the lock. The magic is last: half a file is made anew. */
static bool fill(struct sim_state *s)
{
	const char *text = getenv("WEIR_SIM_DEVICES");
	memset(s->info, 0, sizeof s->info);
	int n = devices_parse(text && *text ? text : SIM_DEFAULT_DEVICES, s->info);
	if (n <= 0) {
		errno = EINVAL;
		return false;
	}
	s->version = SIM_VERSION;
	s->devices = (uint32_t)n;
	atomic_signal_fence(memory_order_release); /* a process may end between any two stores */
	memcpy(s->magic, SIM_MAGIC, sizeof s->magic);
	return true;
}

static struct sim_state *map_state(void)
{
	int fd = open_shared("state");
	struct stat st;
	if (fd < 0)
		return NULL;
	struct sim_state *s = MAP_FAILED;
	if (!fstat(fd, &st) && ((uint64_t)st.st_size >= sizeof *s || !ftruncate(fd, sizeof *s)))
		s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (s == MAP_FAILED)
		return NULL;
	if (memcmp(s->magic, SIM_MAGIC, sizeof s->magic) ? fill(s) : s->version == SIM_VERSION)
		return s;
	munmap(s, sizeof *s);
	return NULL;
}

bool state_open(void)
{
	if (state)
		return true;
	if (!mkdir(state_dir(), 0777))
		(void)!chmod(state_dir(), 0777); /* whatever the umask */
	if (lock_fd < 0)
		lock_fd = open_shared("lock");
	if (pids_fd < 0)
		pids_fd = open_shared("pids");
	if (lock_fd < 0 || pids_fd < 0)
		return false;
	state_lock();
	state = map_state();
	state_unlock();
	return state != NULL;
}

bool state_alive(int slot)
{
	struct flock f;
	if (slot == state_slot)
		return true;
	return lock_byte(lock_fd, F_OFD_GETLK, F_WRLCK, 1 + slot, &f) || f.l_type != F_UNLCK;
}

pid_t state_pid(int slot)
{
	struct flock f;
	if (slot == state_slot || lock_byte(pids_fd, F_GETLK, F_WRLCK, slot, &f))
		return getpid();
	/* A lock of this very process is no obstacle to it: where it lives and nobody else is in the way, it is ours. */
	return f.l_type == F_UNLCK ? getpid() : f.l_pid;
}

bool state_join(void)
{
	struct flock unused;
	state_lock();
	state_reap();
	for (int i = 0; i < SIM_SLOTS && state_slot < 0; i++) {
		if (state->slot[i].taken || lock_byte(lock_fd, F_OFD_SETLK, F_WRLCK, 1 + i, &unused))
			continue;
		lock_byte(pids_fd, F_SETLK, F_WRLCK, i, &unused);
		state->slot[i].taken = 1;
		state_slot = i;
	}
	state_unlock();
	return state_slot >= 0;
}

/* The descriptors are those of the parent's open files: kept, the child would keep the parent's slot alive. */
void state_forked(void)
{
	if (lock_fd >= 0)
		close(lock_fd);
	if (pids_fd >= 0)
		close(pids_fd);
	lock_fd = pids_fd = -1;
	state_slot = -1;
}

/* Files of memory that a dead process had shared. */
static void unlink_shared(int slot)
{
	char prefix[32];
	int n = snprintf(prefix, sizeof prefix, "ipc-%d-", slot);
	DIR *dir = opendir(state_dir());
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));)
		if (!strncmp(e->d_name, prefix, (size_t)n))
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
}

void state_reap(void)
{
	for (int i = 0; i < SIM_SLOTS; i++) {
		if (!state->slot[i].taken || state_alive(i))
			continue;
		timeline_cut(i);
		unlink_shared(i);
		memset(state->slot[i].use, 0, sizeof state->slot[i].use);
		state->slot[i].taken = 0;
	}
}

static uint64_t sum(int device)
{
	uint64_t n = 0;
	for (int i = 0; i < SIM_SLOTS; i++)
		if (state->slot[i].taken)
			n += state->slot[i].use[device].used;
	return n;
}

uint64_t state_used(int device)
{
	state_lock();
	state_reap();
	uint64_t n = sum(device);
	state_unlock();
	return n;
}

bool state_charge(int device, uint64_t bytes)
{
	uint64_t memory = state->info[device].memory;
	if (bytes > memory)
		return false;
	state_lock();
	bool fits = sum(device) <= memory - bytes;
	if (!fits) {
		state_reap(); /* looking for the dead costs a call for each process: only where it matters */
		fits = sum(device) <= memory - bytes;
	}
	if (fits)
		state->slot[state_slot].use[device].used += bytes;
	state_unlock();
	return fits;
}

void state_discharge(int device, uint64_t bytes)
{
	state_lock();
	state->slot[state_slot].use[device].used -= bytes;
	state_unlock();
}
