package machine_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
)

// learned waits until the agent knows what a context takes.
func (n *node) learned(bytes uint64) {
	n.Helper()
	n.eventually("it is known what a context takes", func() error {
		if d := n.node().Devices[0]; d.Context != bytes {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
}

// views are what a program sees: what is free, and in all, by everybody who says
// so.
func (p *program) views(free, all uint64) {
	p.Helper()
	p.expect("views", fmt.Sprintf("%d %d %d %d %d %d", free, all, all, all, free, all-free))
}

// What the driver takes for contexts is of the job's memory, to the byte, by
// everybody's word; eight jobs of an eighth each have all that they are promised.
func TestContextsAreCharged(t *testing.T) {
	const context, eighth = 300 * mib, gib
	n := newFolder(t, "1x8GiB")
	n.mib = context / mib
	n.start()
	first := n.run(agent.Request{Memory: eighth, Compute: 125, Mode: "fair"}, "views")
	if got := first.line(); got != "ready" {
		t.Fatal(got)
	}
	n.learned(context)
	all := []*program{first}
	for range 7 {
		p := n.run(agent.Request{Memory: eighth, Compute: 125, Mode: "fair"}, "views")
		if got := p.line(); got != "ready" {
			t.Fatal(got)
		}
		all = append(all, p)
	}
	for _, p := range all {
		p.views(eighth-context, eighth)
		p.expect(fmt.Sprint("take ", eighth-context), "0")
		p.expect("take 1", "2")
		p.views(0, eighth)
	}
	n.eventually("the driver says the same", func() error {
		for _, j := range n.node().Jobs {
			if u := j.Parts[0]; u.Used != eighth || u.Measured != eighth || u.Overhead != context {
				return fmt.Errorf("%+v", u)
			}
		}
		return nil
	})
	for _, p := range all {
		p.views(0, eighth)
		p.expect("context", "2")
	}
	if w := n.node().Watch; w.Beyond != 0 || w.Ended != 0 {
		t.Errorf("%+v", w)
	}
}

// Where a context takes more than was stated, what is measured counts.
func TestContextsAreMeasured(t *testing.T) {
	n := newFolder(t, "1x2GiB")
	n.mib, n.stated = 200, 50*mib
	n.start()
	p := n.run(agent.Request{Memory: 512 * mib, Compute: 500, Mode: "fair"}, "views")
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	n.eventually("it is measured", func() error {
		if u := n.job("views").Parts[0]; u.Used != 200*mib || u.Overhead != 200*mib {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
	p.views(312*mib, 512*mib)
	p.expect("context", "0")
	n.eventually("both are measured", func() error {
		if u := n.job("views").Parts[0]; u.Used != 400*mib {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
	p.views(112*mib, 512*mib)
	p.expect(fmt.Sprint("take ", 112*mib), "0")
	p.expect("take 1", "2")
	p.expect("context", "2")
}

// An agent that comes back knows what a context takes, and nobody has a byte
// more while it finds out what each really has.
func TestContextsOutliveTheAgent(t *testing.T) {
	n := newFolder(t, "1x2GiB")
	n.mib = 100
	n.start()
	p := n.run(agent.Request{Memory: 256 * mib, Compute: 250, Mode: "fair"}, "views")
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	n.learned(100 * mib)
	p.expect(fmt.Sprint("take ", 156*mib), "0")
	for range 3 {
		n.stop()
		p.expect("take 1", "2")
		n.start()
		for end := time.Now().Add(700 * time.Millisecond); time.Now().Before(end); {
			p.expect("take 1", "2")
		}
		p.views(0, 256*mib)
		n.eventually("the agent knows", func() error {
			if u := n.job("views").Parts[0]; u.Used != 256*mib || u.Measured != 256*mib {
				return fmt.Errorf("%+v", u)
			}
			return nil
		})
	}
}

// A program in no container of ours is shown, and is not in any's list of
// processes; each job sees its own.
func TestWhoSeesWhom(t *testing.T) {
	n := newNode(t, "1x2GiB")
	n.mib = 10
	ready := func(p *program) *program {
		if got := p.line(); got != "ready" {
			t.Fatal(got)
		}
		return p
	}
	ask := agent.Request{Memory: 512 * mib, Compute: 250, Mode: "fair"}
	a := ready(n.run(ask, "views")) // j1
	b := ready(n.run(ask, "views")) // j2
	c := ready(n.join("j1", "views"))
	stranger := n.follow(n.outside("hold", "1024"))
	stranger.line()
	pid := fmt.Sprint(b.cmd.Process.Pid)
	b.expect("pids", strings.Repeat(pid+" ", 4)+"7:1 "+pid)
	for _, p := range []*program{a, c} {
		for _, word := range strings.Fields(strings.ReplaceAll(p.tell("pids"), "7:2", "")) {
			if word != fmt.Sprint(a.cmd.Process.Pid) && word != fmt.Sprint(c.cmd.Process.Pid) {
				t.Errorf("it sees process %s", word)
			}
		}
	}
	if os.Getuid() == 0 { // one that has numbers of its own, as in a container
		cmd := n.within("j2", "views")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		d := ready(n.follow(cmd))
		d.expect("pids", "1 1 1 1 7:1 1")
	}
	n.eventually("the stranger is known", func() error {
		s := n.node().Devices[0].Strangers
		if len(s) != 1 || s[0].PID != stranger.cmd.Process.Pid || s[0].Bytes != gib {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// Who says that its memory is out and has some, as it writes what it likes into
// its cell or takes more past the shim, is ended; and who was promised that
// memory has it. It waits, and is never refused.
func TestALiarIsEnded(t *testing.T) {
	for name, lie := range map[string]func(n *node, liar *program){
		"it writes what it likes": func(n *node, liar *program) {
			liar.expect(fmt.Sprint("take ", 200*mib), "0")
			liar.expect("lie", "it will lie")
		},
		"it has taken memory past the shim": func(n *node, liar *program) {
			liar.expect(fmt.Sprint("past ", 250*mib), "0")
			n.eventually("it is seen", func() error {
				if u := n.job("views").Parts[0]; u.Overhead < 250*mib {
					return fmt.Errorf("%+v", u)
				}
				return nil
			})
		},
		"it takes memory past the shim when it is out": func(n *node, liar *program) {
			n.swap("views", agent.Out)
			n.becomes("views", agent.Out)
			liar.expect(fmt.Sprint("past ", 300*mib), "0")
			n.eventually("it is seen", func() error {
				if u := n.job("views").Parts[0]; u.Measured < 300*mib {
					return fmt.Errorf("%+v", u)
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newFolder(t, "1x512MiB")
			n.arena, n.mib = 512*mib, 20
			n.start()
			liar := n.run(agent.Request{Memory: 400 * mib, Compute: 250, Mode: "fair", Policy: agent.Borrow}, "views", "100")
			if got := liar.line(); got != "ready" {
				t.Fatal(got)
			}
			n.learned(20 * mib)
			lie(n, liar)
			began := time.Now()
			owner := n.run(agent.Request{Memory: 450 * mib, Compute: 250, Mode: "fair"}, "hold", "10")
			if got := owner.line(); got != "430 MiB, then error 2; 0 of 450 MiB free" {
				t.Error(got)
			}
			t.Logf("the owner had its memory after %v", time.Since(began).Round(time.Millisecond))
			_ = liar.cmd.Wait()
			if s := liar.cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGKILL {
				t.Errorf("the liar ended by %v", liar.cmd.ProcessState)
			}
			if w := n.node().Watch; w.Ended != 1 {
				t.Errorf("%+v", w)
			}
		})
	}
}

// A borrower is promised its context, which stays when it goes out: all else of
// the device can be promised to others, and they have it.
func TestABorrowersContextStays(t *testing.T) {
	n := newFolder(t, "1x512MiB")
	n.arena, n.mib, n.stated = 512*mib, 50, 50*mib
	n.start()
	borrower := n.run(agent.Request{Memory: 300 * mib, Compute: 250, Mode: "fair", Policy: agent.Borrow}, "views", "200")
	if got := borrower.line(); got != "ready" {
		t.Fatal(got)
	}
	borrower.views(50*mib, 300*mib)
	borrower.expect("context", "2") // it is promised one
	owner := n.run(agent.Request{Memory: 462 * mib, Compute: 250, Mode: "fair"}, "hold", "4")
	if got := owner.line(); got != "412 MiB, then error 2; 0 of 462 MiB free" {
		t.Error(got)
	}
	n.becomes("views", agent.Out)
	owner.input.Close()
	borrower.expect("take 1", "0")
	if w := n.node().Watch; w.Ended+w.Beyond != 0 {
		t.Errorf("%+v", w)
	}
}

// Who has more than its limit is counted, and goes on.
func TestPastTheShim(t *testing.T) {
	n := newFolder(t, "1x1GiB")
	n.mib = 20
	n.start()
	p := n.run(agent.Request{Memory: 200 * mib, Compute: 250, Mode: "fair"}, "views")
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	p.expect(fmt.Sprint("past ", 300*mib), "0")
	n.eventually("it is counted", func() error {
		if w := n.node().Watch; w.Beyond != 1 || w.Ended != 0 {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
	p.views(0, 200*mib)
	p.expect("take 1", "2")
}
