/* Memory pools: see pools.h. */
#include "pools.h"

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

static struct pool *add(struct self *self, CUmemoryPool handle, CUdevice device)
{
	struct pools *ps = &self->pools;
	int rule = self_rule(self, device);
	uint32_t i = 0;

	while (i < ps->count && ps->pool[i].used)
		i++;
	if (rule < 0 || i == POOLS)
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
static bool reserve_growth(struct self *self, struct pool *p, uint64_t bytes, uint64_t *growth)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		recount(self, p);
		uint64_t has = p->charged, uses = in_use(p), slack = has > uses ? has - uses : 0;
		*growth = bytes > slack ? bytes - slack : 0;
		if (*growth == 0 || ledger_reserve(&self->ledger, p->rule, *growth))
			return true;
		recount_all(self, true);
	}
	return false;
}

/* Reserves what the pool has grown by beyond that; false when it does not fit. */
static bool settle(struct self *self, struct pool *p, uint64_t growth)
{
	uint64_t now = reserved(p), counted = p->charged + growth;
	if (now > counted && !ledger_reserve(&self->ledger, p->rule, now - counted))
		return false;
	if (now < counted)
		ledger_release(&self->ledger, p->rule, counted - now);
	p->charged = now;
	return true;
}

CUresult pools_take(struct self *self, CUmemoryPool handle, CUdevice device, uint64_t bytes,
		    const struct pool_call *c, uint64_t *serial)
{
	uint64_t growth;

	swap_enter(self);
	swap_leave(self);
	pthread_mutex_lock(&self->pools.lock);
	struct pool *p = find(&self->pools, handle, device);
	if (p == NULL)
		p = add(self, handle, device);
	if (p == NULL) {
		pthread_mutex_unlock(&self->pools.lock);
		return c->call(c->arg);
	}
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;
	if (reserve_growth(self, p, bytes, &growth)) {
		r = c->call(c->arg);
		if (!settle(self, p, growth)) {
			p->charged += growth;
			if (r == CUDA_SUCCESS && c->undo != NULL) {
				c->undo(c->arg);
				trim(p);
				r = CUDA_ERROR_OUT_OF_MEMORY;
			}
			recount(self, p);
		}
	}
	if (r == CUDA_SUCCESS && serial != NULL) {
		*serial = p->serial;
		p->given++;
	}
	pthread_mutex_unlock(&self->pools.lock);
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
