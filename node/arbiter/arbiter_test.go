package arbiter_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "github.com/weir-gpu/weir/node/arbiter"
	_ "github.com/weir-gpu/weir/test/seed"
)

const ms = int64(1e6)

// job is a tenant that launches kernels of one length back to back whenever it
// may. It wants the device for a while and rests for a while, in turns.
type job struct {
	Tenant
	kernel      int64
	wants, rest int64 // rest 0: it always wants
	got         int64 // device time
	longest     int64 // that it waited for a lease
	since       int64 // it waits since then; -1 when it does not
	most        int64 // that it had beyond its share of the time, at any time
}

// wanting reports whether it wants the device, and until when that is so.
func (j *job) wanting(now int64) (bool, int64) {
	if j.rest == 0 {
		return true, math.MaxInt64
	}
	round, at := now/(j.wants+j.rest)*(j.wants+j.rest), now%(j.wants+j.rest)
	if at < j.wants {
		return true, round + j.wants
	}
	return false, round + j.wants + j.rest
}

// device plays jobs against an arbiter. Each hand-over takes as long as a
// process takes to wake.
type device struct {
	*Arbiter
	jobs   map[string]*job
	wakes  int64
	holder *job
	begins int64 // the work of the lease
	until  int64
	idle   int64 // time in which nobody had it and a fair job wanted it
}

func play(t interface{ Fatalf(string, ...any) }, cfg Config, wakes, length int64, jobs ...*job) *device {
	d := &device{Arbiter: New(cfg), jobs: map[string]*job{}, wakes: wakes}
	for _, j := range jobs {
		d.Set(0, j.Tenant)
		d.jobs[j.ID] = j
		j.since = -1
	}
	for now := int64(0); now < length; {
		next := min(length, d.ask(t, now))
		if d.holder == nil && slices.ContainsFunc(jobs, func(j *job) bool { return j.since >= 0 && j.Mode == Fair }) {
			d.idle += next - now
		}
		now = next
	}
	d.settle(length)
	return d
}

// ask lets everybody say what there is to say, and returns when next.
func (d *device) ask(t interface{ Fatalf(string, ...any) }, now int64) int64 {
	next := int64(math.MaxInt64)
	for _, j := range d.jobs {
		wants, until := j.wanting(now)
		next = min(next, until)
		if j == d.holder {
			continue
		}
		d.Want(now, j.ID, wants)
		if !wants {
			j.since = -1
		} else if j.since < 0 {
			j.since = now
		}
	}
	orders, wake := d.Next(now)
	for _, o := range orders {
		j := d.jobs[o.ID]
		switch {
		case o.Verb == Begin && d.holder == nil:
			d.holder, d.begins, d.until = j, now+d.wakes, o.Until
			j.longest, j.since = max(j.longest, now-j.since), -1
		case o.Verb == Begin || j != d.holder:
			t.Fatalf("at %d %+v, while %+v has it", now, o, d.holder)
		case o.Verb == Extend:
			d.until = o.Until
		case o.Verb == Cut:
			d.until = min(d.until, now)
		case o.Verb == End:
			d.holder = nil
		}
	}
	if d.holder != nil {
		if done := d.done(); done <= now {
			d.settle(done)
			d.Done(now, d.holder.ID)
			d.holder = nil
			return now
		} else {
			next = min(next, done)
		}
	}
	if wake > now {
		next = min(next, wake)
	}
	return max(next, now+1)
}

// done is when the holder's work ends: kernels that have begun go on.
func (d *device) done() int64 {
	_, wants := d.holder.wanting(d.begins)
	k := d.holder.kernel
	return d.begins + max(0, (min(d.until, wants)-d.begins+k-1)/k)*k
}

// settle gives the holder what it had until then.
func (d *device) settle(now int64) {
	if j := d.holder; j != nil {
		j.got += max(0, now-d.begins)
		j.most = max(j.most, j.got-now*j.Share/1000)
	}
}

func tenant(id string, share int64, mode Mode, kernel int64) *job {
	return &job{Tenant: Tenant{ID: id, Share: share, Mode: mode}, kernel: kernel}
}

// TestShares plays ten seconds of what the shares are held to.
func TestShares(t *testing.T) {
	many := func(n int, share int64, kernel int64) (jobs []*job) {
		for i := range n {
			jobs = append(jobs, tenant(fmt.Sprint("t", i), share, Strict, kernel))
		}
		return jobs
	}
	for _, c := range []struct {
		name string
		jobs []*job
		want []float64 // per cent
		off  float64
	}{
		{"strict 30 of 0.1 ms", many(1, 300, ms/10), []float64{30}, 1},
		{"strict 30 of 1 ms", many(1, 300, ms), []float64{30}, 1},
		{"strict 30 of 20 ms", many(1, 300, 20*ms), []float64{30}, 1},
		{"strict 30 of 50 ms", many(1, 300, 50*ms), []float64{30}, 1},
		{"strict 30 and 70", []*job{tenant("a", 300, Strict, 20*ms), tenant("b", 700, Strict, ms)}, []float64{30, 70}, 1.5},
		{"fair 30 and 70", []*job{tenant("a", 300, Fair, 20*ms), tenant("b", 700, Fair, ms)}, []float64{30, 70}, 1.5},
		{"fair 30 alone", []*job{tenant("a", 300, Fair, ms)}, []float64{100}, 3},
		{"eight of 12.5", many(8, 125, ms), slices.Repeat([]float64{12.5}, 8), 0.5},
		{"sixteen of 6.25", many(16, 62, ms), slices.Repeat([]float64{6.2}, 16), 0.75},
		{"fair fills what strict leaves", []*job{tenant("a", 300, Strict, ms), tenant("b", 100, Fair, ms)},
			[]float64{30, 70}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			const length = 10_000 * ms
			play(t, Usual, ms/10, length, c.jobs...)
			for i, j := range c.jobs {
				if got := 100 * float64(j.got) / float64(length); math.Abs(got-c.want[i]) > c.off {
					t.Errorf("%s had %.2f%%, want %.2f%% within %.2f", j.ID, got, c.want[i], c.off)
				}
			}
		})
	}
}

// TestLaws plays random tenants.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var jobs []*job
		left := int64(1000)
		for i := range rapid.IntRange(1, 12).Draw(t, "tenants") {
			j := tenant(fmt.Sprint("t", i), rapid.Int64Range(1, max(1, left/2)).Draw(t, "share"),
				rapid.SampledFrom([]Mode{Fair, Strict}).Draw(t, "mode"),
				rapid.Int64Range(ms/10, 40*ms).Draw(t, "kernel"))
			left -= j.Share
			if rapid.Bool().Draw(t, "rests") {
				j.wants = rapid.Int64Range(ms, 400*ms).Draw(t, "wants")
				j.rest = rapid.Int64Range(ms, 400*ms).Draw(t, "rest")
			}
			jobs = append(jobs, j)
		}
		const length = 5000 * ms
		d := play(t, Usual, ms/10, length, jobs...)
		for _, j := range jobs {
			if j.Mode == Strict && j.most > Usual.Lease+j.kernel {
				t.Errorf("%s of %d had %d ms beyond its share", j.ID, j.Share, j.most/ms)
			}
		}
		if d.idle > 0 {
			t.Errorf("nobody had the device for %d ns while somebody waited who may", d.idle)
		}
	})
}

// TestShareInFullHouse lets all want all the time: nobody is below the share.
func TestShareInFullHouse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var jobs []*job
		n := rapid.IntRange(2, 10).Draw(t, "tenants")
		for i := range n {
			jobs = append(jobs, tenant(fmt.Sprint("t", i), 1000/int64(n), Fair,
				rapid.Int64Range(ms/10, 50*ms).Draw(t, "kernel")))
		}
		length := 20_000 * ms
		play(t, Usual, ms/10, length, jobs...)
		for _, j := range jobs {
			if j.got < length*j.Share/1000*97/100-2*(Usual.Lease+50*ms) {
				t.Errorf("%s of %d had %d ms", j.ID, j.Share, j.got/ms)
			}
		}
	})
}

// TestHigherPrioritiesGoFirst lets one in while another has the device.
func TestHigherPrioritiesGoFirst(t *testing.T) {
	low := tenant("low", 500, Fair, 5*ms)
	high := tenant("high", 500, Fair, 5*ms)
	high.Priority, high.wants, high.rest = 1, 30*ms, 300*ms
	play(t, Usual, ms/10, 10_000*ms, low, high)
	if high.longest > 6*ms || high.got < 700*ms {
		t.Errorf("it waited for %d ms, and had %d", high.longest/ms, high.got/ms)
	}
}

// TestWhoRunsOver is passed by, and pays for it.
func TestWhoRunsOver(t *testing.T) {
	a := New(Usual)
	a.Set(0, Tenant{ID: "stuck", Share: 500, Mode: Fair})
	a.Set(0, Tenant{ID: "other", Share: 500, Mode: Fair})
	a.Want(0, "stuck", true)
	if orders, _ := a.Next(0); len(orders) != 1 || orders[0].ID != "stuck" {
		t.Fatalf("%+v", orders)
	}
	a.Want(1, "other", true)
	for now, steps := int64(1), 0; ; steps++ {
		orders, wake := a.Next(now)
		if i := slices.IndexFunc(orders, func(o Order) bool { return o.Verb == Begin }); i >= 0 {
			if orders[0] != (Order{End, "stuck", 0}) || orders[i].ID != "other" || now > Usual.Lease+Usual.Patience {
				t.Errorf("at %d %+v", now, orders)
			}
			break
		}
		if now = wake; wake == 0 || steps > 10 {
			t.Fatal("nobody else goes on")
		}
	}
	if u := a.Uses(); u[1].Held != Usual.Lease+Usual.Patience {
		t.Errorf("it was charged %d", u[1].Held)
	}
}

// TestRemovedHoldersHoldNothing ends a lease with its tenant.
func TestRemovedHoldersHoldNothing(t *testing.T) {
	a := New(Usual)
	a.Set(0, Tenant{ID: "a", Share: 500, Mode: Fair})
	a.Set(0, Tenant{ID: "b", Share: 500, Mode: Fair})
	a.Want(0, "a", true)
	a.Next(0)
	a.Want(0, "b", true)
	a.Remove(ms, "a")
	if orders, _ := a.Next(ms); len(orders) != 1 || orders[0].ID != "b" || orders[0].Verb != Begin {
		t.Errorf("%+v", orders)
	}
}
