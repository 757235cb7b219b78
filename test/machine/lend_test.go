package machine_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
)

// What an owner was promised and has not taken is a borrower's, with nobody
// swapped out for it; what it wants of that it has.
func TestWhatIsNotTakenIsLent(t *testing.T) {
	n := newFolder(t, "1x512MiB")
	n.arena = 1024 * mib
	n.start()
	owner := n.run(agent.Request{Memory: 384 * mib, Compute: 250, Mode: "fair", Policy: agent.Lend}, "keep", "40")
	if got := owner.line(); got != "ready" {
		t.Fatal(got)
	}
	borrower := n.run(agent.Request{Memory: 400 * mib, Compute: 250, Mode: "fair", Policy: agent.Borrow}, "hold", "50")
	if got := borrower.line(); got != "400 MiB, then error 2; 0 of 400 MiB free" {
		t.Fatal(got)
	}
	j := n.job("keep")
	if u := j.Parts[0]; j.State != agent.In || j.Swaps != 0 || u.Lent < 272*mib || u.Limit > 112*mib {
		t.Errorf("%+v", j)
	}
	// It asks for more than its cushion: the borrower goes out, and it has all that it was promised.
	owner.expect("take 300", "taken")
	if j := n.job("hold"); j.State == agent.In {
		t.Errorf("%+v", j)
	}
	owner.expect("check", "right")
	// What it has given back is its own for a while, and then the borrower's.
	owner.expect("drop", "dropped")
	borrower.input.Close() // it wants to take more now, and needs to be in to be refused
	if got := borrower.line(); got != "in the end error 2" {
		t.Error(got)
	}
	owner.expect("check", "right")
}

// A program is shown what was promised to it, and no more is refused to it than
// that, however little of it is left.
func TestLentMemoryIsNotSeen(t *testing.T) {
	n := newFolder(t, "1x512MiB")
	n.arena = 1024 * mib
	n.start()
	borrow := agent.Request{Memory: 450 * mib, Compute: 250, Mode: "fair", Policy: agent.Borrow}
	borrower := n.run(borrow, "keep", "400")
	if got := borrower.line(); got != "ready" {
		t.Fatal(got)
	}
	owner := n.run(agent.Request{Memory: 384 * mib, Compute: 250, Mode: "fair", Policy: agent.Lend}, "hold", "8")
	if got := owner.line(); got != "384 MiB, then error 2; 0 of 384 MiB free" {
		t.Fatal(got)
	}
	owner.input.Close()
	borrower.expect("check", "right")
}

// An owner that was promised a device takes an eighth of it and works; when it
// wants the rest, which is lent, it works on meanwhile, and has it in time.
func TestAnOwnerTakesTheRest(t *testing.T) {
	measure, device := os.Getenv("WEIR_MEASURE") != "", uint64(512*mib)
	if measure {
		device = 1024 * mib
	}
	n := newFolder(t, fmt.Sprintf("1x%dMiB", device/mib))
	n.arena = 2 * device
	n.start()
	has, lent := device/8, device*3/4
	owner := n.run(agent.Request{Memory: device, Compute: 500, Mode: "fair", Policy: agent.Lend}, "keep", fmt.Sprint(has/mib-16))
	if got := owner.line(); got != "ready" {
		t.Fatal(got)
	}
	borrower := n.run(agent.Request{Memory: lent, Compute: 500, Mode: "fair", Policy: agent.Borrow}, "keep", fmt.Sprint(lent/mib-16))
	if got := borrower.line(); got != "ready" {
		t.Fatal(got)
	}
	var alone, together turn
	rounds := 1
	if measure {
		rounds = 5
	}
	for range rounds {
		n.bothIn(owner, borrower)
		if j := n.node().Jobs; j[0].State != agent.In || j[1].State != agent.In {
			t.Fatalf("%+v", j)
		}
		var copies float64
		if _, err := fmt.Sscanf(borrower.tell("speed"), "%g", &copies); err != nil {
			t.Fatal(err)
		}
		due := time.Duration(float64(lent)/copies*1e9) + 200*time.Millisecond
		before, err := owner.work(300 * time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		alone.kernels, alone.all = alone.kernels+before.kernels, alone.all+before.all
		var took, kernels, all int64
		if _, err := fmt.Sscanf(owner.tell(fmt.Sprintf("grow %d", (device-has)/mib)), "%d %d %d", &took, &kernels, &all); err != nil {
			t.Fatal(err)
		}
		had := time.Duration(took) * time.Microsecond
		together.kernels, together.all = together.kernels+int(kernels), together.all+time.Duration(all)*time.Microsecond
		t.Logf("the owner had %d MiB more after %v (due in %v; the borrower was out after %v)", (device-has)/mib,
			had.Round(time.Millisecond), due.Round(time.Millisecond),
			time.Duration(n.node().Jobs[1].Took).Round(time.Millisecond))
		if measure && had > due {
			t.Errorf("it waited for too long")
		}
		owner.expect("check", "right")
		owner.expect("drop", "dropped")
	}
	t.Logf("meanwhile it had %.1f%% of the device, where it had %.1f%% just before", 100*together.share(), 100*alone.share())
	if measure && together.share() < 0.95*alone.share() {
		t.Errorf("it had too little")
	}
	borrower.expect("check", "right")
}

// bothIn lets an owner work until a borrower is in beside it.
func (n *node) bothIn(owner, borrower *program) {
	n.Helper()
	in := make(chan string, 1)
	go func() {
		fmt.Fprintln(borrower.input, "spin")
		borrower.lines.Scan()
		in <- borrower.lines.Text()
	}()
	for range 200 {
		select {
		case got := <-in:
			if got != "spun" {
				n.Fatal(got)
			}
			return
		default:
		}
		if _, err := owner.work(100 * time.Millisecond); err != nil {
			n.Fatal(err)
		}
	}
	n.Fatal("the borrower does not come in")
}

// lendVictims are who is killed while an owner waits for what it lent.
var lendVictims = [][]string{{"owner"}, {"borrower"}, {"agent"}, {"owner", "agent"}, {"borrower", "agent"}}

// While a borrower leaves, and two processes of an owner wait for what they were
// promised, somebody is killed. Who lives of the owner has what it wanted, no
// byte of anybody is lost, and nothing is left behind.
func TestKilledWhileLent(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	began, steps := time.Now(), []string{"copy", "copied", "unmap", "release"}
	for run := range max(1, *runs/3) {
		victims, where := lendVictims[run%len(lendVictims)], steps[run/len(lendVictims)%len(steps)]
		nth := 1 + run/len(lendVictims)/len(steps)%4
		name := fmt.Sprintf("%d/%s/%v/%d", run, where, victims, nth)
		if !t.Run(name, func(t *testing.T) { killedWhileLent(t, where, nth, victims) }) {
			return
		}
	}
	t.Logf("%d runs in %v", max(1, *runs/3), time.Since(began).Round(time.Second))
}

func killedWhileLent(t *testing.T, where string, nth int, victims []string) {
	n := newApart(t, "1x96MiB", 160*mib)
	first := n.run(agent.Request{Memory: 84 * mib, Compute: 250, Mode: "fair", Policy: agent.Lend}, "keep", "4")
	if got := first.line(); got != "ready" {
		t.Fatal(got)
	}
	second := n.join("j1", "keep", "4") // each has 20 MiB with its small buffers
	borrower := n.run(agent.Request{Memory: 48 * mib, Compute: 250, Mode: "fair", Policy: agent.Borrow}, "keep", "28")
	for _, p := range []*program{second, borrower} {
		if got := p.line(); got != "ready" {
			t.Fatal(got)
		}
	}
	programs := map[string]*program{"owner": first, "second": second, "borrower": borrower}
	pid := borrower.cmd.Process.Pid
	n.stopAt(pid, where, nth)
	answers := map[string]chan string{}
	for _, name := range []string{"owner", "second"} {
		answer, p := make(chan string, 1), programs[name]
		answers[name] = answer
		if _, err := fmt.Fprintln(p.input, "take 20"); err != nil {
			t.Fatal(err)
		}
		go func() {
			p.lines.Scan()
			answer <- p.lines.Text()
		}()
	}
	if !n.quickly("it stops", 10*time.Second, func() bool { return stopped(pid) }) {
		for name, answer := range answers {
			select {
			case got := <-answer:
				t.Logf("%s said %q", name, got)
			default:
			}
		}
		t.Fatalf("the borrower does not come to %s: %+v", where, n.node.node())
	}
	n.stopAt(0, "", 0)
	n.strike(programs, victims)
	for name, answer := range answers {
		if programs[name] == nil {
			continue
		}
		select {
		case got := <-answer:
			if got != "taken" {
				t.Fatalf("%s: %q", name, got)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s waits for what was promised to it: %+v", name, n.node.node())
		}
		programs[name].expect("check", "right")
	}
	for _, name := range []string{"owner", "second"} {
		if p := programs[name]; p != nil {
			p.expect("drop", "dropped")
		}
	}
	if programs["borrower"] != nil {
		borrower.expect("check", "right")
		borrower.expect("write", "written")
	}
	n.nothingIsLeft(first, second, borrower)
}

// strike kills the victims, which are then not among the programs any more; the
// agent comes back.
func (n *apart) strike(programs map[string]*program, victims []string) {
	n.Helper()
	pid := programs["borrower"].cmd
	for _, v := range victims {
		if v == "agent" {
			n.kill()
			continue
		}
		end(programs[v].cmd)
		delete(programs, v)
	}
	goOn(pid)
	if victims[len(victims)-1] == "agent" {
		time.Sleep(50 * time.Millisecond)
		n.begin()
	}
}

// nothingIsLeft ends programs and looks for what they have left behind.
func (n *apart) nothingIsLeft(programs ...*program) {
	n.Helper()
	for _, p := range programs {
		p.input.Close()
		_ = p.cmd.Wait()
	}
	n.eventually("nothing is left", func() error {
		a := n.node.node()
		if a.Arena.Free != a.Arena.Memory || len(a.Jobs) != 0 || a.Devices[0].FreeMemory != a.Devices[0].Memory {
			return fmt.Errorf("%+v", a)
		}
		return nil
	})
	if used := n.usedOnDevice(); used != 0 {
		n.Errorf("%d bytes of the device are taken in the end", used)
	}
}
