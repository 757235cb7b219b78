/* The connection to the agent: finding it, hello, and mapping what it gives. */
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Descriptors are kept where programs that number their own do not look for them. */
#define HIGH_FD 700

const char *connect_path(void)
{
	/* In a container the place is known: nobody gets out of it by naming another. */
	if (access(WEIR_SOCKET_PATH, F_OK) == 0)
		return WEIR_SOCKET_PATH;
	const char *path = secure_getenv("WEIR_SOCKET");
	return path != NULL && path[0] != 0 ? path : WEIR_SOCKET_PATH;
}

static int move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

static int dial(const char *path, enum connect_result *result)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 5};

	*result = CONNECT_NONE;
	if (strlen(path) >= sizeof to.sun_path)
		return -1;
	strcpy(to.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	fd = move_high(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	/* Something is there that does not answer, or that is not ours to ask. */
	if (errno != ENOENT && errno != ENOTDIR)
		*result = CONNECT_SILENT;
	close(fd);
	return -1;
}

static bool send_hello(int fd, const struct pages *had)
{
	struct weir_message m = {.type = WEIR_HELLO, .device = WEIR_MAGIC, .lease = WEIR_VERSION};
	struct iovec data = {&m, sizeof m};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct msghdr h = {.msg_iov = &data, .msg_iovlen = 1};

	if (self_driver.adopted == NULL)
		strcpy(m.text, WEIR_ONLY_LOOKS);
	if (had != NULL) {
		int fds[2] = {had->cells_fd, had->arena_fd};
		size_t bytes = had->arena_fd >= 0 ? sizeof fds : sizeof fds[0];
		m.cell = had->cell + 1;
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(c), fds, bytes);
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL) == (ssize_t)sizeof m;
}

#define GIVEN 3

/* Reads one message and the descriptors that come with it; those not given are -1. */
static bool receive(int fd, struct weir_message *m, int fds[GIVEN])
{
	struct iovec data = {m, sizeof *m};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(GIVEN * sizeof(int))];
	} control = {0};
	struct msghdr h = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n;

	fds[0] = fds[1] = fds[2] = -1;
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t bytes = c->cmsg_len - CMSG_LEN(0);
		memcpy(fds, CMSG_DATA(c), bytes < GIVEN * sizeof(int) ? bytes : GIVEN * sizeof(int));
	}
	return n == (ssize_t)sizeof *m;
}

static void *map(int fd, size_t size, int protection)
{
	struct stat s;
	if (fd < 0 || fstat(fd, &s) != 0 || (size_t)s.st_size < size)
		return NULL;
	void *at = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* Whether this process has a name in an arena already, by another copy of this library: all of its names go with any
 * descriptor of the arena that is closed, and the kernel would give it the same name again. */
static bool is_named(int fd)
{
	for (uint32_t name = 1; name < WEIR_OWNERS; name++) {
		struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = name, .l_len = 1};
		/* One's own locks are not in one's way, but in the way of an open file's. */
		if (fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid == getpid())
			return true;
	}
	return false;
}

/* The arena's descriptor, where it is out of the way; -1 where there is none to be used. */
static int take_arena(int fd)
{
	if (fd < 0)
		return -1;
	if (!is_named(fd))
		return move_high(fd);
	self_debug("another copy of the driver in this process has the arena: memory of this one is not swapped");
	return -1; /* and it stays open */
}

/* Maps what came with a welcome; NULL when it is not what was promised. */
static struct pages *open_pages(const struct weir_message *m, const struct pages *had, const int fds[GIVEN])
{
	const struct weir_rules *rules = map(fds[0], sizeof *rules, PROT_READ);
	struct weir_cells *cells = map(fds[1], sizeof *cells, PROT_READ | PROT_WRITE);
	struct pages *p = NULL;

	if (rules != NULL && cells != NULL && rules->magic == WEIR_MAGIC && rules->version == WEIR_VERSION &&
	    rules->devices <= WEIR_DEVICES && m->cell < WEIR_CELLS)
		p = malloc(sizeof *p);
	if (p != NULL) {
		*p = (struct pages){.rules = rules, .cells = cells, .cell = m->cell, .cells_fd = move_high(fds[1])};
		/* The first arena stays, and its descriptor is never closed: by it this process has its name there. */
		p->arena_fd = had != NULL && had->arena_fd >= 0 ? had->arena_fd : take_arena(fds[2]);
		return p;
	}
	if (rules != NULL)
		munmap((void *)rules, sizeof *rules);
	if (cells != NULL)
		munmap(cells, sizeof *cells);
	for (int i = 1; i < GIVEN; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return NULL;
}

enum connect_result connect_agent(const struct pages *had, struct connection *out)
{
	enum connect_result result;
	struct weir_message m = {0};
	int fds[GIVEN];
	int fd = dial(connect_path(), &result);

	if (fd < 0)
		return result;
	if (!send_hello(fd, had) || !receive(fd, &m, fds)) {
		close(fd);
		return CONNECT_SILENT;
	}
	result = CONNECT_REFUSED;
	m.text[sizeof m.text - 1] = 0;
	snprintf(out->text, sizeof out->text, "%s", m.text);
	if (m.type == WEIR_WELCOME) {
		out->pages = open_pages(&m, had, fds);
		if (out->pages != NULL)
			result = CONNECT_WELCOME;
		else
			snprintf(out->text, sizeof out->text, "the agent's rules are not of version %u", WEIR_VERSION);
	}
	if (fds[0] >= 0)
		close(fds[0]);
	if (result == CONNECT_WELCOME)
		out->socket = fd;
	else
		close(fd);
	return result;
}
