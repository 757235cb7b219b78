/*
 * A small agent for tests. Usage: agent PATH,MEMORY,SHARE,MODE[,DEVICES[,arena[,LEND]]]...
 * Each argument is a container: its socket, its bytes of each device, its
 * thousandths of device 0, and free, strict or fair. One with an arena has one
 * for its bytes of one device; SIGUSR1 lets the memory of all of those change its
 * place. What one has not taken that lends is lent to others, and back so many
 * milliseconds after it wants it. It says "ready" when it is.
 */
#include "agent.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct container containers[MAX_CONTAINERS];
int container_count;

uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *share(const char *name, size_t size, int *fd)
{
	*fd = memfd_create(name, MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, (off_t)size) != 0)
		die(name);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (at == MAP_FAILED)
		die(name);
	return at;
}

static volatile sig_atomic_t moves;

static void on_signal(int signal)
{
	(void)signal;
	moves++;
}

static void make_arena(struct container *c, uint64_t memory)
{
	uint32_t chunks = (uint32_t)(memory / WEIR_CHUNK);
	size_t journal = sizeof *c->arena + chunks * sizeof c->arena->slot[0];
	uint64_t start = (journal + WEIR_CHUNK - 1) / WEIR_CHUNK * WEIR_CHUNK;

	c->arena = share("arena", start + memory, &c->arena_fd);
	*c->arena = (struct weir_arena){.magic = WEIR_MAGIC, .version = WEIR_VERSION, .chunks = chunks, .ready = 1,
					.start = start};
	c->rules->flags = WEIR_MOVES | WEIR_SWAPPABLE;
}

/* What a signal has asked for. */
static void move(void)
{
	static sig_atomic_t done;

	for (; done != moves; done++)
		for (int i = 0; i < container_count; i++) {
			struct weir_rules *r = containers[i].rules;
			if (!(r->flags & WEIR_MOVES))
				continue;
			atomic_fetch_add(&r->place, 1);
			syscall(SYS_futex, &r->place, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
		}
}

static void begin(struct container *c, char *spec)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const char *path = strtok(spec, ","), *memory = strtok(NULL, ","), *part = strtok(NULL, ","),
		   *mode = strtok(NULL, ","), *devices = strtok(NULL, ","), *arena = strtok(NULL, ","),
		   *lends = strtok(NULL, ",");
	static uint64_t offset;

	if (mode == NULL)
		die(spec);
	c->rules = share("rules", sizeof *c->rules, &c->rules_fd);
	c->cells = share("cells", sizeof *c->cells, &c->cells_fd);
	c->rules->magic = WEIR_MAGIC;
	c->rules->version = WEIR_VERSION;
	c->rules->devices = devices ? (uint32_t)atoi(devices) : 1;
	c->rules->idle_after = 2000;
	c->rules->beat = now();
	for (uint32_t d = 0; d < c->rules->devices; d++) {
		struct weir_rule *r = &c->rules->device[d];
		r->memory_limit = r->memory_promised = strtoull(memory, NULL, 0);
		r->ordinal = d;
		r->share = (uint32_t)atoi(part);
		r->mode = d > 0 || strcmp(mode, "free") == 0 ? WEIR_FREE
			  : strcmp(mode, "strict") == 0	     ? WEIR_STRICT
							     : WEIR_FAIR;
		r->turn_period = 200000000;
		r->turn_offset = offset;
		r->turn_length = r->turn_period * r->share / 1000;
	}
	c->arena_fd = -1;
	if (arena != NULL)
		make_arena(c, strtoull(memory, NULL, 0));
	c->lends = lends != NULL;
	c->patience = c->lends ? strtoull(lends, NULL, 0) * 1000000 : 0;
	offset += c->rules->device[0].turn_length;
	/* Nobody who is given this can write it, or change its size. */
	fcntl(c->rules_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	fcntl(c->cells_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	unlink(path);
	c->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(c->listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(c->listener, 128) != 0)
		die(path);
}

static void welcome(struct container *c, int fd)
{
	struct weir_message hello, m = {.type = WEIR_REFUSED, .text = "this container has as many processes as it may"};
	struct iovec data = {&m, sizeof m};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = {0};
	struct msghdr h = {.msg_iov = &data, .msg_iovlen = 1};
	int fds[3] = {c->rules_fd, c->cells_fd, c->arena_fd};
	size_t given = c->arena_fd < 0 ? 2 * sizeof(int) : sizeof fds;
	struct ucred who = {0};
	socklen_t length = sizeof who;

	if (recv(fd, &hello, sizeof hello, 0) != sizeof hello || hello.type != WEIR_HELLO ||
	    hello.device != WEIR_MAGIC) {
		close(fd);
		return;
	}
	if (c->clients < MAX_CLIENTS && c->rules->device[0].memory_promised > 0) {
		uint32_t cell = 0;
		while (atomic_load(&c->rules->live[cell]))
			cell++;
		memset(&c->cells->cell[cell], 0, sizeof c->cells->cell[cell]);
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length);
		atomic_store(&c->rules->pid[cell], (uint32_t)who.pid);
		atomic_store(&c->rules->live[cell], 1);
		c->client[c->clients++] = (struct client){fd, cell};
		m = (struct weir_message){.type = WEIR_WELCOME, .cell = cell};
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(given);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&h);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(given);
		memcpy(CMSG_DATA(cmsg), fds, given);
	}
	sendmsg(fd, &h, MSG_NOSIGNAL);
	if (m.type == WEIR_REFUSED)
		close(fd);
}

/* Reads what a process says; false when it has ended. What it says is also in its cell. */
static bool listen_to(const struct client *client)
{
	struct weir_message m;
	return recv(client->fd, &m, sizeof m, MSG_DONTWAIT) > 0;
}

static void serve(struct container *c, const struct pollfd *fds)
{
	for (int i = c->clients - 1; i >= 0; i--) {
		if (!fds[1 + i].revents || listen_to(&c->client[i]))
			continue;
		atomic_store(&c->rules->live[c->client[i].cell], 0);
		close(c->client[i].fd);
		c->client[i] = c->client[--c->clients];
	}
	if (fds[0].revents) {
		int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			welcome(c, fd);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, on_signal);
	for (int i = 1; i < argc && i <= MAX_CONTAINERS; i++)
		begin(&containers[container_count++], argv[i]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd fds[MAX_CONTAINERS * (MAX_CLIENTS + 1)];
		int at[MAX_CONTAINERS], n = 0;
		for (int i = 0; i < container_count; i++) {
			atomic_store(&containers[i].rules->beat, now());
			at[i] = n;
			fds[n++] = (struct pollfd){.fd = containers[i].listener, .events = POLLIN};
			for (int k = 0; k < containers[i].clients; k++)
				fds[n++] = (struct pollfd){.fd = containers[i].client[k].fd, .events = POLLIN};
		}
		move();
		uint64_t wait = arbitrate(), soon = lend();
		wait = soon < wait ? soon : wait;
		struct timespec t = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
		if (ppoll(fds, (nfds_t)n, &t, NULL) <= 0)
			continue;
		for (int i = 0; i < container_count; i++)
			serve(&containers[i], &fds[at[i]]);
	}
}
