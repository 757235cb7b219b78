package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// expectations are the words that may follow expect. Any other word is the
// name of a workload.
var expectations = map[string]func(*story, *cursor) error{
	"nothing":   (*story).expectNothing,
	"evicted":   (*story).expectTaken,
	"moved":     (*story).expectTaken,
	"suspended": (*story).expectTaken,
	"resumed":   (*story).expectTaken,
	"granted":   (*story).expectGranted,
	"offer":     (*story).expectOffer,
	"no":        (*story).expectNo,
	"offers":    (*story).expectOffers,
	"finding":   (*story).expectFinding,
	"holder":    (*story).expectHolder,
	"order":     (*story).expectOrder,
	"apart":     (*story).expectApart,
	"share":     (*story).expectShare,
	"truth":     (*story).expectTruth,
}

// expect asks the engine, if anything happened, and checks what is expected.
func (s *story) expect(c *cursor) error {
	if s.happened {
		if err := s.decide(); err != nil {
			return err
		}
	}
	if c.more() {
		if check, ok := expectations[c.words[c.at]]; ok {
			c.at++
			return check(s, c)
		}
	}
	return s.expectWork(c)
}

// expectWork: expect NAME running|waiting|leaving|gone …
func (s *story) expectWork(c *cursor) error {
	name, err := c.next("what is expected")
	if err != nil {
		return err
	}
	verb, err := c.next("running, waiting, leaving, holds or gone")
	if err != nil {
		return err
	}
	if _, ok := s.ledger.Works[name]; !ok && verb != "gone" {
		return fmt.Errorf("%q is neither a workload nor one of %s", name, known(expectations))
	}
	switch verb {
	case "running":
		return s.expectRunning(name, c)
	case "waiting":
		return s.expectWaiting(name, c)
	case "holds":
		return s.expectHolds(name, c)
	case "leaving":
		if n := len(s.ledger.Of(name, func(p laws.Pod) bool { return p.Leaving })); n == 0 {
			return fmt.Errorf("none of its pods is leaving")
		}
		return nil
	case "gone":
		if _, ok := s.ledger.Works[name]; ok {
			return fmt.Errorf("%s still exists", name)
		}
		return nil
	}
	return fmt.Errorf("%q should be running, waiting, leaving, holds or gone", verb)
}

// expectRunning: expect NAME running [pods N] [on n1,n2] [nodes N]: all its
// pods, or exactly N of them, run, on these nodes and no others.
func (s *story) expectRunning(name string, c *cursor) error {
	var (
		pods = -1
		on   []string
		n    = -1
	)
	err := options{"pods": value(&pods, number), "on": value(&on, list), "nodes": value(&n, number)}.read(c)
	if err != nil {
		return err
	}
	run := s.ledger.Of(name, laws.Pod.Running)
	if pods < 0 {
		pods = len(s.ledger.Of(name, everyPod))
	}
	if len(run) != pods || pods == 0 {
		return fmt.Errorf("%d pods run, %d are expected", len(run), pods)
	}
	var nodes []string
	for _, p := range run {
		if !slices.Contains(nodes, p.Grant.Node) {
			nodes = append(nodes, p.Grant.Node)
		}
	}
	slices.Sort(nodes)
	if on != nil && !slices.Equal(nodes, on) {
		return fmt.Errorf("runs on %v", nodes)
	}
	if n >= 0 && len(nodes) != n {
		return fmt.Errorf("runs on %d nodes: %v", len(nodes), nodes)
	}
	return nil
}

// expectWaiting: expect NAME waiting [pods N] [because REASON] [position N] [saying "…"]…
func (s *story) expectWaiting(name string, c *cursor) error {
	var (
		pods, position = -1, -1
		because        string
		saying         []string
	)
	err := options{
		"pods": value(&pods, number), "position": value(&position, number), "because": value(&because, text),
		"saying": func(c *cursor) error {
			w, err := c.next("what is said")
			saying = append(saying, w)
			return err
		},
	}.read(c)
	if err != nil {
		return err
	}
	wait := len(s.ledger.Of(name, laws.Pod.Waiting))
	if wait == 0 || pods >= 0 && wait != pods {
		return fmt.Errorf("%d pods wait", wait)
	}
	ex, ok := s.engine.Explain(name)
	if !ok || ex.Message == "" {
		return fmt.Errorf("waits unexplained: %+v", ex)
	}
	if because != "" && string(ex.Reason) != because {
		return fmt.Errorf("waits because %s: %s", ex.Reason, ex.Message)
	}
	if position >= 0 && ex.Position != position {
		return fmt.Errorf("is at position %d of %d", ex.Position, ex.Waiting)
	}
	return allSaid(ex.Message, saying)
}

func allSaid(message string, words []string) error {
	for _, w := range words {
		if !strings.Contains(message, w) {
			return fmt.Errorf("the message does not say %q: %s", w, message)
		}
	}
	return nil
}

func (s *story) expectNothing(*cursor) error {
	if len(s.round) > 0 {
		return errors.New("something was decided")
	}
	return nil
}

// expectNo: expect no eviction, expect no offer NAME
func (s *story) expectNo(c *cursor) error {
	if c.peek("eviction") {
		if slices.ContainsFunc(s.round, func(d sched.Decision) bool { return d.Action != sched.Start && d.Action != sched.Resume }) {
			return errors.New("somebody is stopped")
		}
		return nil
	}
	if err := c.expect("offer"); err != nil {
		return err
	}
	w, err := s.work(c)
	if err != nil {
		return err
	}
	if ex, _ := s.engine.Explain(w.ID); len(ex.Offers) > 0 {
		return fmt.Errorf("there are offers: %+v", ex.Offers)
	}
	return nil
}

// expectTaken: expect evicted NAME [pods N] [by RULE] [for NAME], expect moved …
// Exactly N pods of it, and nothing else of it, were stopped so.
func (s *story) expectTaken(c *cursor) error {
	action := map[string]sched.Action{
		"evicted": sched.Evict, "moved": sched.Move, "suspended": sched.Suspend, "resumed": sched.Resume,
	}[c.words[c.at-1]]
	name, err := c.next("the workload's name")
	if err != nil {
		return err
	}
	var by, winner, to string
	pods := -1
	err = options{
		"pods": value(&pods, number), "by": value(&by, text), "for": value(&winner, text), "to": value(&to, text),
	}.read(c)
	if err != nil {
		return err
	}
	n := 0
	for _, d := range s.round {
		if d.Workload != name || d.Action != action {
			continue
		}
		n++
		switch {
		case by != "" && string(d.Rule) != by:
			return fmt.Errorf("pod %s is stopped by %s", d.Pod, d.Rule)
		case winner != "" && d.For != winner:
			return fmt.Errorf("pod %s is stopped for %s", d.Pod, d.For)
		case to != "" && d.Grant.Node != to:
			return fmt.Errorf("pod %s is moved to %s", d.Pod, d.Grant.Node)
		}
	}
	if n == 0 || pods >= 0 && n != pods {
		return fmt.Errorf("%d of its pods were stopped", n)
	}
	return nil
}

// expectGranted: expect granted OWNER GPUS [borrowed G] [lent G] [requested G] [pool P]
func (s *story) expectGranted(c *cursor) error {
	owner, err := c.next("the owner's name")
	if err != nil {
		return err
	}
	word, err := c.next("GPUs")
	if err != nil {
		return err
	}
	want := map[string]*int64{}
	for _, name := range []string{"granted", "borrowed", "lent", "requested"} {
		n := int64(-1)
		want[name] = &n
	}
	if *want["granted"], err = gpus(word); err != nil {
		return err
	}
	pool := sched.DefaultPool
	err = options{
		"borrowed": value(want["borrowed"], gpus), "lent": value(want["lent"], gpus),
		"requested": value(want["requested"], gpus), "pool": value(&pool, text),
	}.read(c)
	if err != nil {
		return err
	}
	for _, u := range s.engine.Usage() {
		if u.Owner != owner || u.Pool != pool {
			continue
		}
		got := map[string]int64{
			"granted": u.Granted.GPU, "borrowed": u.Borrowed.GPU, "lent": u.Lent.GPU, "requested": u.Requested.GPU,
		}
		for name, n := range want {
			if *n >= 0 && got[name] != *n {
				return fmt.Errorf("%s is %d µGPU", name, got[name])
			}
		}
		return nil
	}
	return fmt.Errorf("%s has no use in pool %s", owner, pool)
}

// expectOrder: expect order A B C: they were started in this order.
func (s *story) expectOrder(c *cursor) error {
	last := -1
	for c.more() {
		name, _ := c.next("")
		i := slices.IndexFunc(s.round, func(d sched.Decision) bool { return d.Workload == name && d.Action == sched.Start })
		if i < 0 || i < last {
			return fmt.Errorf("%s did not start, or started earlier", name)
		}
		last = i
	}
	return nil
}

// expectApart: expect apart A B: no device has pods of both.
// expectShare: expect share A B: some device has pods of both.
func (s *story) expectApart(c *cursor) error { return s.expectTogether(c, false) }
func (s *story) expectShare(c *cursor) error { return s.expectTogether(c, true) }

func (s *story) expectTogether(c *cursor, want bool) error {
	a, err := s.work(c)
	if err != nil {
		return err
	}
	b, err := s.work(c)
	if err != nil {
		return err
	}
	for _, p := range s.ledger.Of(a.ID, laws.Pod.Running) {
		for _, q := range s.ledger.Of(b.ID, laws.Pod.Running) {
			for _, d := range p.Grant.Devices {
				same := func(o sched.Share) bool { return o.Device == d.Device }
				if p.Grant.Node == q.Grant.Node && p.ID != q.ID && slices.ContainsFunc(q.Grant.Devices, same) {
					if want {
						return nil
					}
					return fmt.Errorf("both hold parts of %s/%s", p.Grant.Node, d.Device)
				}
			}
		}
	}
	if want {
		return errors.New("no device has pods of both")
	}
	return nil
}

// expectHolds: expect NAME holds DEVICE MEMORY COMPUTE [limit MEMORY COMPUTE]:
// its only running pod holds this part of the device; * is any device.
func (s *story) expectHolds(name string, c *cursor) error {
	want, err := part(c)
	if err != nil {
		return err
	}
	if c.peek("limit") {
		burst := &cursor{line: line{words: append([]string{"*"}, c.words[c.at:]...)}}
		limit, err := part(burst)
		if err != nil {
			return err
		}
		c.at = len(c.words)
		want.LimitMemoryMiB, want.LimitComputeMilli = limit.MemoryMiB, limit.ComputeMilli
	}
	for _, p := range s.ledger.Of(name, laws.Pod.Running) {
		for _, got := range p.Grant.Devices {
			if want.Device == "*" {
				got.Device = "*"
			}
			if got == want {
				return nil
			}
		}
	}
	return fmt.Errorf("holds %+v, not %+v", s.ledger.Of(name, laws.Pod.Running), want)
}
