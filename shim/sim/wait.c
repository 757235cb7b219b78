/* Waiting for a time of the timeline, and functions of the host, which run in a thread when their time has come. */
#define _GNU_SOURCE
#include "sim.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

/* A sleep ends late by about this much, so that the last stretch is waited for awake. */
#define AWAKE 70000

static void sleep_until(uint64_t time)
{
	uint64_t now = timeline_now();
	if (time > now + AWAKE) {
		uint64_t wake = time - AWAKE;
		struct timespec t = { .tv_sec = (time_t)(wake / 1000000000), .tv_nsec = (long)(wake % 1000000000) };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
			;
	}
	while (timeline_now() < time)
		sched_yield();
}

CUresult wait_for(uint64_t time, uint64_t ticket)
{
	host_wait(ticket);
	if (time > timeline_now()) {
		sim_unlock();
		sleep_until(time);
		sim_lock();
	}
	return CUDA_SUCCESS;
}

struct call {
	struct call *next;
	uint64_t time;
	CUhostFn fn;
	void *data;
};

static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, ended = PTHREAD_COND_INITIALIZER;
static struct call *first, **end = &first;
static uint64_t submitted, done;
static bool running;

static void *run(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&calls_lock);
	for (;;) {
		struct call *c = first;
		if (!c) {
			pthread_cond_wait(&more, &calls_lock);
			continue;
		}
		first = c->next;
		if (!first)
			end = &first;
		pthread_mutex_unlock(&calls_lock);
		sleep_until(c->time);
		c->fn(c->data);
		free(c);
		pthread_mutex_lock(&calls_lock);
		done++;
		pthread_cond_broadcast(&ended);
	}
	return NULL;
}

static bool start(void)
{
	pthread_t thread;
	if (!running && !pthread_create(&thread, NULL, run, NULL)) {
		pthread_detach(thread);
		running = true;
	}
	return running;
}

uint64_t host_submit(uint64_t time, CUhostFn fn, void *data)
{
	uint64_t ticket = 0;
	struct call *c = malloc(sizeof *c);
	if (!c)
		return 0;
	*c = (struct call){ .time = time, .fn = fn, .data = data };
	pthread_mutex_lock(&calls_lock);
	if (start()) {
		*end = c;
		end = &c->next;
		ticket = ++submitted;
		pthread_cond_signal(&more);
	}
	pthread_mutex_unlock(&calls_lock);
	if (!ticket)
		free(c);
	return ticket;
}

bool host_done(uint64_t ticket)
{
	pthread_mutex_lock(&calls_lock);
	bool is = done >= ticket;
	pthread_mutex_unlock(&calls_lock);
	return is;
}

void host_wait(uint64_t ticket)
{
	if (!ticket || host_done(ticket))
		return;
	sim_unlock();
	pthread_mutex_lock(&calls_lock);
	while (done < ticket)
		pthread_cond_wait(&ended, &calls_lock);
	pthread_mutex_unlock(&calls_lock);
	sim_lock();
}

void host_forked(void)
{
	pthread_mutex_init(&calls_lock, NULL);
	running = false;
}
