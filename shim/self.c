/* This process: see self.h. */
#include "self.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"

#define RECONNECT_EVERY 200000000ull
/* How long a process that begins waits for an agent whose socket is there. */
#define AGENT_PATIENCE 10000000000ull

static struct self *me;

/* What a child inherits and must close: as long as it is open, the agent believes that the parent lives.
 * These lie in memory that a fork does not wipe. */
static struct {
	pid_t pid;
	int socket, wake, cells_fd, arena_fd;
} inherited = {0, -1, -1, -1, -1};

static void close_inherited(void)
{
	if (inherited.pid == 0 || inherited.pid == getpid())
		return;
	int fds[] = {inherited.socket, inherited.wake, inherited.cells_fd, inherited.arena_fd};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	inherited.pid = 0;
}

static void after_fork(void)
{
	close_inherited();
	memset(me, 0, sizeof *me);
}

/* The process is known before any of the program's threads begin. */
__attribute__((constructor)) static void begin(void)
{
	static struct self fallback;
	void *at = mmap(NULL, sizeof *me, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	me = at == MAP_FAILED ? &fallback : at;
	/* The handler is for kernels without this, and closes descriptors at once; the
	 * advice is for children that were not made by fork(). */
	if (at != MAP_FAILED)
		madvise(at, sizeof *me, MADV_WIPEONFORK);
	pthread_atfork(NULL, NULL, after_fork);
}

static void say(const char *format, va_list args)
{
	char line[512];
	int n = snprintf(line, sizeof line, "weir: ");
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void self_debug(const char *format, ...)
{
	va_list args;
	if (getenv("WEIR_DEBUG") == NULL)
		return;
	va_start(args, format);
	say(format, args);
	va_end(args);
}

void self_complain(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(format, args);
	va_end(args);
}

bool self_agent_alive(struct self *self, const struct weir_rules *rules, uint64_t now)
{
	if (!atomic_load_explicit(&self->connected, memory_order_relaxed))
		return false;
	uint64_t beat = atomic_load_explicit(&rules->beat, memory_order_relaxed);
	return now < beat || now - beat < WEIR_DEAD_AFTER;
}

/* Begins to use what a welcome brought. */
static void adopt(struct self *self, const struct connection *c)
{
	ledger_move(&self->ledger, c->pages->rules, c->pages->cells, c->pages->cell);
	self->socket = c->socket;
	inherited.pid = getpid();
	inherited.socket = c->socket;
	inherited.wake = self->wake;
	inherited.cells_fd = c->pages->cells_fd;
	inherited.arena_fd = c->pages->arena_fd;
	self->connected = true;
	atomic_store(&self->pages, c->pages);
	if (self_driver.adopted)
		self_driver.adopted(self, c->pages);
}

/* The agent says nothing after its welcome: what can be read is the end of the connection. */
static bool connection_ended(struct self *self)
{
	struct weir_message m;
	ssize_t n = recv(self->socket, &m, sizeof m, MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void reconnect(struct self *self)
{
	struct connection c;
	struct pages *had = atomic_load(&self->pages);

	if (connect_agent(had, &c) != CONNECT_WELCOME)
		return;
	int old = had->cells_fd;
	pthread_mutex_lock(&self->hello);
	adopt(self, &c);
	pthread_mutex_unlock(&self->hello);
	close(old);
	atomic_store(&self->ordinals_known, false);
	self_debug("the agent is back, cell %u", c.pages->cell);
}

static void wait_for_work(struct self *self, uint64_t sleep)
{
	struct pollfd fds[2] = {{.fd = self->wake, .events = POLLIN}, {.fd = self->socket, .events = POLLIN}};
	struct timespec t = {(time_t)(sleep / 1000000000u), (long)(sleep % 1000000000u)};
	uint64_t count;

	if (ppoll(fds, self->connected ? 2 : 1, sleep == UINT64_MAX ? NULL : &t, NULL) < 0)
		return;
	if (fds[0].revents & POLLIN && read(self->wake, &count, sizeof count) < 0)
		return;
	if (self->connected && fds[1].revents && connection_ended(self)) {
		self_debug("the agent has gone");
		pthread_mutex_lock(&self->hello);
		self->connected = false;
		close(self->socket);
		pthread_mutex_unlock(&self->hello);
	}
}

/* The helper thread: gives leases back when nothing uses them, and finds an agent that comes back. */
static void *help(void *arg)
{
	struct self *self = arg;
	uint64_t sleep = UINT64_MAX, tried = 0;

	for (;;) {
		if (!self->connected && sleep > RECONNECT_EVERY)
			sleep = RECONNECT_EVERY;
		wait_for_work(self, sleep);
		if (!self->connected && self_now() - tried >= RECONNECT_EVERY) {
			tried = self_now();
			reconnect(self);
		}
		pthread_mutex_lock(&self->ticking);
		sleep = self_driver.tick ? self_driver.tick(self) : UINT64_MAX;
		pthread_mutex_unlock(&self->ticking);
	}
	return NULL;
}

/* The driver ends after us, as it is our dependency: from here on, no thread of ours is to be found in it. */
__attribute__((destructor)) static void end(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_timedlock(&me->ticking, &until);
	pthread_mutex_timedlock(&me->swap.moving, &until);
}

bool self_thread(void *(*body)(void *), struct self *self)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	/* Signals are the program's: none is to arrive here. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	bool started = pthread_create(&thread, &attributes, body, self) == 0;
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static enum connect_result find_agent(struct connection *c)
{
	uint64_t until = self_now() + AGENT_PATIENCE;
	struct timespec pause = {0, 100000000};

	for (;;) {
		enum connect_result r = connect_agent(NULL, c);
		if (r != CONNECT_SILENT || self_now() > until)
			return r;
		nanosleep(&pause, NULL);
	}
}

static int hello(struct self *self)
{
	struct connection c = {.socket = -1};

	close_inherited();
	switch (find_agent(&c)) {
	case CONNECT_NONE:
		self_debug("no agent at %s: nothing is limited", connect_path());
		return SELF_ALONE;
	case CONNECT_SILENT:
		self_complain("the agent at %s does not answer; is `weir agent` running on this node?", connect_path());
		return SELF_REFUSED;
	case CONNECT_REFUSED:
		self_complain("refused: %s", c.text);
		return SELF_REFUSED;
	case CONNECT_WELCOME:
		break;
	}
	int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), high = fcntl(wake, F_DUPFD_CLOEXEC, 700);
	if (high >= 0)
		close(wake);
	self->wake = high >= 0 ? high : wake;
	/* What threads remember of a parent is not of this generation. */
	atomic_store(&self->queue.generation, (uint32_t)getpid() << 10);
	adopt(self, &c);
	if (!self_thread(help, self))
		self_complain("no thread could be started: leases are given back late");
	self_debug("cell %u of the container at %s", c.pages->cell, connect_path());
	return SELF_MEMBER;
}

int self_state(void)
{
	int state = atomic_load_explicit(&me->state, memory_order_acquire);
	if (state != SELF_UNKNOWN)
		return state;
	int cancel;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* see nap.h */
	pthread_mutex_lock(&me->hello);
	state = atomic_load(&me->state);
	if (state == SELF_UNKNOWN) {
		state = hello(me);
		atomic_store_explicit(&me->state, state, memory_order_release);
	}
	pthread_mutex_unlock(&me->hello);
	pthread_setcancelstate(cancel, NULL);
	return state;
}

struct self *self_member(void)
{
	return self_state() == SELF_MEMBER ? me : NULL;
}
