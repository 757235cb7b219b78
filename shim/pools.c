/* Memory pools: see pools.h. */
#include "pools.h"

#include <stdlib.h>

#include "memory.h"
#include "real.h"
#include "self.h"

static uint64_t reserved(const struct pool *p)
{
	cuuint64_t value = 0;
	CUresult r = p->handle ? REAL(cuMemPoolGetAttribute, p->handle, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &value)
			       : REAL(cuDeviceGetGraphMemAttribute, p->device, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT,
				      &value);
	return r == CUDA_SUCCESS ? value : p->charged;
}

static uint64_t in_use(const struct pool *p)
{
	cuuint64_t value = 0;
	CUresult r = p->handle ? REAL(cuMemPoolGetAttribute, p->handle, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value)
			       : REAL(cuDeviceGetGraphMemAttribute, p->device, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT,
				      &value);
	return r == CUDA_SUCCESS ? value : p->charged;
}

static struct pool *find(struct pools *ps, CUmemoryPool handle, CUdevice device)
{
	for (uint32_t i = 0; i < ps->count; i++) {
		struct pool *p = &ps->pool[i];
		if (p->used && !p->destroyed && p->handle == handle && (handle != NULL || p->device == device))
			return p;
	}
	return NULL;
}

static bool make_room(struct pools *ps)
{
	uint32_t room = ps->room ? ps->room * 2 : 16;
	struct pool *more = realloc(ps->pool, room * sizeof *more);

	if (more == NULL)
		return false;
	ps->pool = more;
	ps->room = room;
	return true;
}

/* NULL where the rules do not speak of the device, or there is no memory to remember it. */
static struct pool *add(struct self *self, CUmemoryPool handle, CUdevice device)
{
	struct pools *ps = &self->pools;
	int rule = self_rule(self, device);
	uint32_t i = 0;

	while (i < ps->count && ps->pool[i].used)
		i++;
	if (rule < 0 || (i == ps->room && !make_room(ps)))
		return NULL;
	ps->pool[i] = (struct pool){.handle = handle, .device = device, .rule = (uint32_t)rule,
				    .serial = ++ps->serials, .used = true};
	if (i == ps->count)
		ps->count++;
	return &ps->pool[i];
}

/* Brings one charge down to what the driver says, or up to it: it has the memory, asked or not. */
static void recount(struct self *self, struct pool *p)
{
	uint64_t now = reserved(p);
	if (now < p->charged)
		ledger_release(&self->ledger, p->rule, p->charged - now);
	else if (now > p->charged)
		ledger_force(&self->ledger, p->rule, now - p->charged);
	p->charged = now;
}

static void trim(const struct pool *p)
{
	if (p->handle)
		REAL(cuMemPoolTrimTo, p->handle, 0);
	else
		REAL(cuDeviceGraphMemTrim, p->device);
}

static void recount_all(struct self *self, bool trimming)
{
	for (uint32_t i = 0; i < self->pools.count; i++) {
		struct pool *p = &self->pools.pool[i];
		if (!p->used || p->destroyed)
			continue;
		if (trimming)
			trim(p);
		recount(self, p);
	}
}

void pools_recount(struct self *self, bool trimming)
{
	if (!pools_any(self))
		return;
	pthread_mutex_lock(&self->pools.lock);
	recount_all(self, trimming);
	pthread_mutex_unlock(&self->pools.lock);
}

bool pools_any(struct self *self)
{
	return atomic_load(&self->pools.count) > 0;
}

/* Reserves what the pool must grow by at least; how much it grows is known when it has. */
static enum ledger_answer reserve_growth(struct self *self, struct pool *p, uint64_t bytes, struct shortage *s,
					 uint64_t *growth)
{
	enum ledger_answer answer = LEDGER_NO;

	for (int attempt = 0; attempt < 2 && answer != LEDGER_YES; attempt++) {
		if (attempt > 0)
			recount_all(self, true);
		recount(self, p);
		uint64_t has = p->charged, uses = in_use(p), slack = has > uses ? has - uses : 0;
		*growth = bytes > slack ? bytes - slack : 0;
		if (*growth > 0 && *growth < s->growth)
			*growth = s->growth;
		answer = *growth == 0 ? LEDGER_YES : ledger_reserve(&self->ledger, p->rule, *growth);
	}
	s->bytes = answer == LEDGER_LATER ? *growth : 0;
	return answer;
}

/* Reserves what the pool has grown by beyond that, if it fits. */
static enum ledger_answer settle(struct self *self, struct pool *p, uint64_t growth, struct shortage *s)
{
	uint64_t now = reserved(p), counted = p->charged + growth;

	if (now > counted) {
		enum ledger_answer answer = ledger_reserve(&self->ledger, p->rule, now - counted);
		if (answer != LEDGER_YES) {
			s->growth = s->bytes = now - p->charged;
			return answer;
		}
	}
	if (now < counted)
		ledger_release(&self->ledger, p->rule, counted - now);
	p->charged = now;
	return LEDGER_YES;
}

/* Makes the call, and undoes it where the pool has grown by more than may be had. */
static CUresult grow(struct self *self, struct pool *p, uint64_t growth, const struct pool_call *c, struct shortage *s)
{
	CUresult r = c->call(c->arg);
	enum ledger_answer answer = settle(self, p, growth, s);

	s->by_driver = r == CUDA_ERROR_OUT_OF_MEMORY;
	if (answer == LEDGER_YES)
		return r;
	p->charged += growth;
	if (r == CUDA_SUCCESS && c->undo != NULL) {
		c->undo(c->arg);
		trim(p);
		r = answer == LEDGER_LATER ? PROMISE_LATER : CUDA_ERROR_OUT_OF_MEMORY;
	}
	recount(self, p);
	return r;
}

CUresult pools_try(struct self *self, CUmemoryPool handle, CUdevice device, uint64_t bytes, const struct pool_call *c,
		   struct shortage *s)
{
	uint64_t growth;

	s->self = self;
	s->by_driver = false;
	pthread_mutex_lock(&self->pools.lock);
	struct pool *p = find(&self->pools, handle, device);
	if (p == NULL)
		p = add(self, handle, device);
	if (p == NULL) {
		pthread_mutex_unlock(&self->pools.lock);
		return self_rule(self, device) < 0 ? c->call(c->arg) : CUDA_ERROR_OUT_OF_MEMORY;
	}
	s->rule = p->rule;
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;
	enum ledger_answer answer = reserve_growth(self, p, bytes, s, &growth);
	if (answer == LEDGER_YES)
		r = grow(self, p, growth, c, s);
	else if (answer == LEDGER_LATER)
		r = PROMISE_LATER;
	if (r == CUDA_SUCCESS && s->gives) {
		s->serial = p->serial;
		p->given++;
	}
	pthread_mutex_unlock(&self->pools.lock);
	return r;
}

bool pools_again(CUresult r, struct shortage *s)
{
	struct patience patience = {s->since};

	if (r == PROMISE_LATER) {
		promise_wait(s->self, s->rule, s->bytes);
	} else {
		if (!s->by_driver || !memory_again(s->self, r, &patience))
			return false;
		s->since = patience.since;
	}
	swap_enter(s->self);
	swap_leave(s->self);
	return true;
}

CUresult pools_take(struct self *self, CUmemoryPool handle, CUdevice device, uint64_t bytes,
		    const struct pool_call *c, uint64_t *serial)
{
	struct shortage s = {.gives = true};
	CUresult r;

	swap_enter(self);
	swap_leave(self);
	do
		r = pools_try(self, handle, device, bytes, c, &s);
	while (pools_again(r, &s));
	*serial = s.serial;
	return r;
}

void pools_add(struct self *self, CUmemoryPool handle, CUdevice device)
{
	pthread_mutex_lock(&self->pools.lock);
	struct pool *p = find(&self->pools, handle, device);
	if (p == NULL)
		p = add(self, handle, device);
	if (p != NULL)
		recount(self, p);
	pthread_mutex_unlock(&self->pools.lock);
}

bool pools_device(struct self *self, CUmemoryPool handle, CUdevice *device)
{
	pthread_mutex_lock(&self->pools.lock);
	struct pool *p = find(&self->pools, handle, -1);
	if (p != NULL)
		*device = p->device;
	pthread_mutex_unlock(&self->pools.lock);
	return p != NULL;
}

CUresult pools_destroy(struct self *self, CUmemoryPool handle)
{
	pthread_mutex_lock(&self->pools.lock);
	struct pool *p = find(&self->pools, handle, -1);
	uint64_t remains = p ? in_use(p) : 0;
	CUresult r = REAL(cuMemPoolDestroy, handle);
	if (p != NULL && r == CUDA_SUCCESS) {
		if (remains < p->charged)
			ledger_release(&self->ledger, p->rule, p->charged - remains);
		p->charged = remains < p->charged ? remains : p->charged;
		p->destroyed = true;
		p->used = p->charged > 0;
	}
	pthread_mutex_unlock(&self->pools.lock);
	return r;
}

/* What a pool that was destroyed has kept is free with the last that it gave: the driver counts it in pieces larger
 * than those that were asked for. */
static void freed_of_dead(struct self *self, struct pool *p, uint64_t bytes)
{
	uint64_t back = p->given > 0 && bytes < p->charged ? bytes : p->charged;
	ledger_release(&self->ledger, p->rule, back);
	p->charged -= back;
	p->used = p->charged > 0;
}

void pools_freed(struct self *self, uint64_t serial, uint64_t bytes)
{
	pthread_mutex_lock(&self->pools.lock);
	for (uint32_t i = 0; i < self->pools.count; i++) {
		struct pool *p = &self->pools.pool[i];
		if (!p->used || p->serial != serial)
			continue;
		if (p->given > 0)
			p->given--;
		if (p->destroyed)
			freed_of_dead(self, p, bytes);
		else
			recount(self, p);
	}
	pthread_mutex_unlock(&self->pools.lock);
}
