package machine_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
)

// turn is what a program had of a device while it was at work.
type turn struct {
	first, all time.Duration // until its first kernel was done, and all
	kernels    int           // of 1 ms
}

func (w turn) share() float64 { return float64(w.kernels) * 1e6 / float64(w.all) }

// work lets a program work for a while. It may be called from any goroutine.
func (p *program) work(length time.Duration) (w turn, err error) {
	if _, err = fmt.Fprintf(p.input, "work %d\n", length.Milliseconds()); err != nil {
		return w, err
	}
	if !p.lines.Scan() {
		return w, fmt.Errorf("it says nothing more: %w", p.lines.Err())
	}
	var first, all int64
	_, err = fmt.Sscanf(p.lines.Text(), "%d %d %d", &first, &w.kernels, &all)
	w.first, w.all = time.Duration(first)*time.Microsecond, time.Duration(all)*time.Microsecond
	return w, err
}

// thin are as many programs as three devices could hold, on one.
type thin struct {
	*node
	programs []*program
	copies   float64 // bytes that this machine copies in a second
}

const (
	many    = 12
	quarter = 128 * mib
	large   = "108" // MiB of what each has
)

func newThin(t *testing.T) *thin {
	n := &thin{node: newFolder(t, "1x512MiB")}
	n.arena, n.idle = many*quarter, 500*time.Millisecond
	n.start()
	for i := range many {
		r := agent.Request{Memory: quarter, Compute: 250, Mode: "strict", Policy: agent.Borrow}
		if i%3 == 0 {
			r.Policy = agent.Lend
		}
		p := n.run(r, "keep", large)
		if got := p.line(); got != "ready" {
			t.Fatal(got)
		}
		n.programs = append(n.programs, p)
	}
	if _, err := fmt.Sscanf(n.programs[0].tell("speed"), "%g", &n.copies); err != nil {
		t.Fatal(err)
	}
	return n
}

// Twelve programs of a quarter each are on one device, three of them at work at
// a time. Each has its share while it works, soon after it wakes up, and what it
// had in memory.
func TestThin(t *testing.T) {
	measure := os.Getenv("WEIR_MEASURE") != ""
	length := time.Second
	if measure {
		length = 10 * time.Second
	}
	n := newThin(t)
	alone, err := n.programs[0].work(length)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("alone: %.1f%%", 100*alone.share())
	for round := range many / 3 {
		var wait sync.WaitGroup
		for k := range 3 { // one that was promised its share, and two that borrow
			i := round*3 + k
			p := n.programs[i]
			wait.Go(func() {
				w, err := p.work(length)
				if err != nil {
					t.Errorf("program %d: %v", i, err)
					return
				}
				n.judge(i, w, alone, measure)
			})
		}
		wait.Wait()
	}
	for i, p := range n.programs {
		p.expect("check", "right")
		if j := n.node.node().Jobs[i]; j.Swaps == 0 && i%3 != 0 {
			t.Errorf("job %s was never out", j.ID)
		}
	}
	t.Logf("%+v", n.node.node().Arena)
}

// judge says what a program had, and whether that was enough.
func (n *thin) judge(i int, w, alone turn, measure bool) {
	// Somebody else's bytes go out, and its own come in.
	due := time.Duration(2*quarter/n.copies*1e9) + 200*time.Millisecond
	n.Logf("program %2d: first kernel done after %v (due in %v), %.1f%% of the device, %.1f%% of what it has alone", i,
		w.first.Round(time.Millisecond), due.Round(time.Millisecond), 100*w.share(), 100*w.share()/alone.share())
	if !measure {
		return
	}
	if w.share() < 0.95*alone.share() {
		n.Errorf("program %d has too little", i)
	}
	if i%3 == 0 && w.first > due {
		n.Errorf("program %d has its memory too late", i)
	}
}

// Who was promised a share has it at once, whoever borrows it meanwhile.
func TestAnOwnerWakesUp(t *testing.T) {
	n := newFolder(t, "1x512MiB")
	n.arena = 2 * quarter
	n.start()
	length := 3 * time.Second
	borrower := n.run(agent.Request{Memory: quarter, Compute: 1000, Mode: "fair", Policy: agent.Borrow}, "keep", "8")
	owner := n.run(agent.Request{Memory: quarter, Compute: 250, Mode: "fair", Policy: agent.Lend}, "keep", "8")
	for _, p := range []*program{borrower, owner} {
		if got := p.line(); got != "ready" {
			t.Fatal(got)
		}
	}
	var had turn
	var wait sync.WaitGroup
	wait.Go(func() {
		var err error
		if had, err = borrower.work(length); err != nil {
			t.Error(err)
		}
	})
	worst := time.Duration(0)
	for end := time.Now().Add(length - 500*time.Millisecond); time.Now().Before(end); time.Sleep(150 * time.Millisecond) {
		w, err := owner.work(20 * time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, w.first)
	}
	wait.Wait()
	t.Logf("the owner's first kernel was done after %v at most; the borrower had %.0f%%", worst, 100*had.share())
	if os.Getenv("WEIR_MEASURE") != "" && worst > 100*time.Millisecond {
		t.Errorf("it waited for longer than 100 ms")
	}
	if had.share() < 0.3 {
		t.Errorf("the borrower had %.0f%% of a device that is idle most of the time", 100*had.share())
	}
}

// Who may burst has what others leave, and gives it back: at once what it has
// not taken, and what it has by being swapped out.
func TestBurst(t *testing.T) {
	n := newFolder(t, "1x512MiB")
	n.arena = 512 * mib
	n.start()
	burst := agent.Request{Memory: quarter, Most: 512 * mib, Compute: 250, Mode: "fair", Policy: agent.Lend}
	keeper := n.run(burst, "keep", "180")
	if got := keeper.line(); got != "ready" {
		t.Fatal(got)
	}
	// It has taken 190 MiB or so of the 512 that it could have: the rest is there for others.
	owner := n.run(agent.Request{Memory: 300 * mib, Compute: 250, Mode: "fair"}, "hold", "20")
	if got := owner.line(); got != "300 MiB, then error 2; 0 of 300 MiB free" {
		t.Fatal(got)
	}
	if j := n.job("keep"); j.State != agent.In || j.Swaps != 0 || j.Parts[0].Limit > 212*mib {
		t.Errorf("%+v", j)
	}
	// What is promised now is what it has beyond its promise.
	second := n.run(agent.Request{Memory: 84 * mib, Compute: 250, Mode: "fair"}, "hold", "14")
	if got := second.line(); got != "84 MiB, then error 2; 0 of 84 MiB free" {
		t.Fatal(got)
	}
	if j := n.job("keep"); j.State != agent.Out {
		t.Errorf("%+v", j)
	}
	answered := make(chan string)
	go func() { answered <- keeper.tell("check") }()
	select {
	case got := <-answered:
		t.Fatalf("it goes on beside those two: %q", got)
	case <-time.After(300 * time.Millisecond):
	}
	second.input.Close()
	if got := <-answered; got != "right" {
		t.Error(got)
	}
	owner.input.Close()
	n.eventually("it may burst again", func() error {
		if j := n.job("keep"); j.Parts[0].Limit != 512*mib {
			return fmt.Errorf("%+v", j)
		}
		return nil
	})
}

// Among those who borrow the higher priority has the memory as soon as it wants
// it, and keeps it.
func TestPriority(t *testing.T) {
	n := newFolder(t, "1x192MiB")
	n.arena = 2 * quarter
	n.start()
	ask := agent.Request{Memory: quarter, Compute: 500, Mode: "fair", Policy: agent.Borrow}
	low := n.run(ask, "keep", "60")
	if got := low.line(); got != "ready" {
		t.Fatal(got)
	}
	ask.Priority = 1
	began := time.Now()
	high := n.run(ask, "keep", "60")
	if got := high.line(); got != "ready" {
		t.Fatal(got)
	}
	t.Logf("it had its memory after %v", time.Since(began).Round(time.Millisecond))
	if jobs := n.node().Jobs; jobs[0].State != agent.Out || jobs[1].State != agent.In {
		t.Errorf("%+v", jobs)
	}
	worked := make(chan error)
	go func() { _, err := high.work(time.Second); worked <- err }()
	answered := make(chan string)
	go func() { answered <- low.tell("check") }()
	select {
	case got := <-answered:
		t.Errorf("the lower is in while the higher works: %q", got)
	case err := <-worked:
		if err != nil {
			t.Error(err)
		}
	}
	high.input.Close() // and ends
	if got := <-answered; got != "right" {
		t.Error(got)
	}
}
