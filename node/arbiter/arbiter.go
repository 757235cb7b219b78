// Package arbiter divides the time of one device between tenants, by leases.
//
// It is driven by what happens and by the clock: every method takes the time,
// in nanoseconds of a clock that does not jump, and [Arbiter.Next] says what is
// to be done. It does no I/O, keeps no goroutine, and is for one goroutine.
//
// One tenant at a time has the device. A lease is charged from its beginning
// until the tenant says that its work is done, whatever it says that it used;
// what it ran over is a debt. See docs/designs/0006-node.md.
package arbiter

import (
	"cmp"
	"slices"
)

// Mode says what a tenant gets beyond its share.
type Mode int

const (
	// Fair is the share, and what others leave.
	Fair Mode = iota
	// Strict is the share, and no more.
	Strict
)

// Tenant is who shares the device.
type Tenant struct {
	ID       string
	Share    int64 // thousandths of the device's time, more than 0
	Mode     Mode
	Priority int // higher ones go first at every hand-over
}

// Config is how leases are cut. Times are nanoseconds.
type Config struct {
	Lease    int64 // how long one is at most, where somebody else waits
	Round    int64 // of so many as want the device, each has it once in such a time
	Least    int64 // no lease is cut shorter than this, and a strict tenant saves up for as much
	Patience int64 // how long a tenant may run over before others go on beside it
}

// Usual is what is used where nobody says otherwise.
var Usual = Config{Lease: 60e6, Round: 240e6, Least: 20e6, Patience: 1e9}

// Verb is what is to be done about a lease.
type Verb int

const (
	Begin  Verb = iota // let the tenant launch until Until
	Extend             // let it go on until Until
	Cut                // let it launch no more; its work is awaited
	End                // it is done, or is not awaited any more
)

// Order is one thing to do, in the order given.
type Order struct {
	Verb  Verb
	ID    string
	Until int64
}

type tenant struct {
	Tenant
	hungry  bool
	saved   int64 // strict: device time that it may use; below zero it owes. Thousandths of nanoseconds
	counted int64 // until when saved was counted
	owed    int64 // virtual: what it was charged for its share, in thousandths of nanoseconds per thousandth
	charged int64 // in all, for people
	leases  int64
}

// Arbiter is the state of one device.
type Arbiter struct {
	cfg     Config
	tenants map[string]*tenant
	holder  *tenant
	began   int64
	until   int64
	cut     bool  // its end has come: its work is awaited
	owed    int64 // of the one who last went, which newcomers begin with
}

// New returns the arbiter of a device that nobody has.
func New(cfg Config) *Arbiter { return &Arbiter{cfg: cfg, tenants: map[string]*tenant{}} }

// Set adds a tenant, or changes what it may have.
func (a *Arbiter) Set(now int64, t Tenant) {
	x := a.tenants[t.ID]
	if x == nil {
		x = &tenant{counted: now, owed: a.owed}
		a.tenants[t.ID] = x
	}
	a.save(now, x)
	x.Tenant = t
}

// Remove forgets a tenant. Its lease has ended if it had one.
func (a *Arbiter) Remove(now int64, id string) {
	if x := a.tenants[id]; x != nil {
		a.release(now, x)
		delete(a.tenants, id)
	}
}

// Want says whether a tenant waits for the device. One that was given a lease
// waits no more, until it says so again.
func (a *Arbiter) Want(now int64, id string, wants bool) {
	x := a.tenants[id]
	if x == nil || x.hungry == wants {
		return
	}
	x.hungry = wants
	if wants {
		// What it did not want before is not owed to it, but for two leases: who
		// comes back after each has not gone without.
		x.owed = max(x.owed, a.owed-2*a.cfg.Lease*1000/x.Share)
	}
}

// Done says that a tenant's work is done. It may launch no more.
func (a *Arbiter) Done(now int64, id string) {
	if x := a.tenants[id]; x != nil {
		a.release(now, x)
	}
}

// release charges a lease and ends it.
func (a *Arbiter) release(now int64, x *tenant) {
	if a.holder != x {
		return
	}
	a.charge(now)
	a.holder = nil
}

// charge charges the holder for what it had until now.
func (a *Arbiter) charge(now int64) {
	x, had := a.holder, now-a.began
	x.saved -= had * 1000 // before what the same time brought, which would spill over
	a.save(now, x)
	x.owed += had * 1000 / x.Share
	x.charged += had
	a.began = now
}

// save adds to what a strict tenant may use what time has brought.
func (a *Arbiter) save(now int64, x *tenant) {
	x.saved = min(x.saved+(now-x.counted)*x.Share, a.cfg.Lease*1000)
	x.counted = now
}

// Next returns what is to be done now, and when to ask again at the latest: 0
// when only what happens can change anything.
func (a *Arbiter) Next(now int64) (orders []Order, wake int64) {
	if a.holder != nil {
		if orders, wake = a.hold(now); a.holder != nil {
			return orders, wake
		}
	}
	next, soonest := a.first(now)
	if next == nil {
		return orders, soonest
	}
	a.holder, a.began, a.cut = next, now, false
	a.until = now + a.length(next)
	a.owed = max(a.owed, next.owed)
	next.leases++
	next.hungry = false
	return append(orders, Order{Begin, next.ID, a.until}), a.until
}

// hold looks at the lease that runs.
func (a *Arbiter) hold(now int64) ([]Order, int64) {
	x := a.holder
	rival := a.rival(now)
	switch {
	case a.cut && now >= a.until+a.cfg.Patience:
		a.release(now, x)
		return []Order{{End, x.ID, 0}}, 0
	case a.cut:
		return nil, a.until + a.cfg.Patience
	case rival != nil && rival.Priority > x.Priority:
		a.until = min(a.until, now)
	case now < a.until:
		return nil, a.until
	case x.Mode == Fair && rival == nil:
		a.charge(now)
		a.owed = max(a.owed, x.owed)
		a.until = now + a.cfg.Lease
		return []Order{{Extend, x.ID, a.until}}, a.until
	}
	a.cut = true
	return []Order{{Cut, x.ID, a.until}}, a.until + a.cfg.Patience
}

// length is how long a lease may be: the shorter, the more there are who want
// one, so that nobody is far from its share after a few seconds.
func (a *Arbiter) length(x *tenant) int64 {
	want := int64(1)
	for _, y := range a.tenants {
		if y.hungry && y != x {
			want++
		}
	}
	length := min(a.cfg.Lease, max(a.cfg.Least, a.cfg.Round/want))
	if x.Mode == Strict {
		length = min(length, x.saved/1000)
	}
	return length
}

// rival returns who else would have the device now.
func (a *Arbiter) rival(now int64) *tenant {
	best, _ := a.first(now)
	return best
}

// first returns who is to have the device next beside its holder, or when
// somebody who wants it will have saved enough.
func (a *Arbiter) first(now int64) (best *tenant, soonest int64) {
	for _, x := range a.tenants {
		if !x.hungry || x == a.holder {
			continue
		}
		if at := a.ready(now, x); at > now {
			if soonest == 0 || at < soonest {
				soonest = at
			}
			continue
		}
		if best == nil || before(x, best) {
			best = x
		}
	}
	return best, soonest
}

// ready returns from when on a tenant may have the device.
func (a *Arbiter) ready(now int64, x *tenant) int64 {
	if x.Mode != Strict {
		return now
	}
	a.save(now, x)
	if missing := min(a.cfg.Least, a.cfg.Lease)*1000 - x.saved; missing > 0 {
		return now + (missing+x.Share-1)/x.Share
	}
	return now
}

// before says who of two goes first: the higher priority, then who had least
// for its share.
func before(x, y *tenant) bool {
	return cmp.Or(cmp.Compare(y.Priority, x.Priority), cmp.Compare(x.owed, y.owed), cmp.Compare(x.ID, y.ID)) < 0
}

// Use is what a tenant has had.
type Use struct {
	ID      string
	Held    int64 // nanoseconds, of leases that ended or were extended
	Leases  int64
	Waiting bool
	Holding bool
}

// Uses returns what all tenants have had, by their IDs.
func (a *Arbiter) Uses() []Use {
	uses := make([]Use, 0, len(a.tenants))
	for _, x := range a.tenants {
		uses = append(uses, Use{x.ID, x.charged, x.leases, x.hungry, x == a.holder})
	}
	slices.SortFunc(uses, func(x, y Use) int { return cmp.Compare(x.ID, y.ID) })
	return uses
}
