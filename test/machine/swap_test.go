package machine_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/client"
)

const mib = 1 << 20

// job returns what the agent knows of the job of that name.
func (n *node) job(name string) agent.Job {
	n.Helper()
	for _, j := range n.node().Jobs {
		if j.Name == name {
			return j
		}
	}
	n.Fatalf("there is no job %s", name)
	return agent.Job{}
}

// becomes waits until the memory of a job is somewhere.
func (n *node) becomes(name, state string) {
	n.Helper()
	n.eventually(name+" is "+state, func() error {
		if j := n.job(name); j.State != state {
			return fmt.Errorf("it is %s: %+v", j.State, j)
		}
		return nil
	})
}

func (n *node) swap(name, to string) {
	n.Helper()
	if err := client.New(n.dir).Swap(n.Context(), n.job(name).ID, to); err != nil {
		n.Fatal(err)
	}
}

// A job that is swapped out has nothing of the device, waits, and goes on as if
// nothing had been.
func TestSwapByHand(t *testing.T) {
	n := newFolder(t, "1x256MiB")
	n.arena = 256 * mib
	n.start()
	p := n.run(agent.Request{Memory: 128 * mib, Compute: 250, Mode: "fair", Policy: agent.Lend}, "keep", "60")
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	p.expect("spin", "spun")
	used := n.job("keep").Parts[0].Used
	for round := range 3 {
		n.eventually("the arena is there", func() error { return client.New(n.dir).Swap(t.Context(), "j1", agent.Out) })
		n.becomes("keep", agent.Out)
		if u := n.job("keep").Parts[0]; u.Swapped != used || u.Used != used {
			t.Errorf("%d of %d bytes are with the host, of %d before", u.Swapped, u.Used, used)
		}
		word := []string{"check", "spin", "free"}[round]
		answer := []string{"right", "spun", "freed"}[round]
		if round == 2 { // what is freed needs not come in
			p.expect(word, answer)
			n.swap("keep", agent.In)
		} else {
			answered := make(chan string)
			go func() { answered <- p.tell(word) }()
			select {
			case got := <-answered:
				t.Fatalf("it did not wait: %q", got)
			case <-time.After(300 * time.Millisecond):
			}
			n.swap("keep", agent.In)
			if got := <-answered; got != answer {
				t.Fatalf("%q, want %q", got, answer)
			}
		}
		n.becomes("keep", agent.In)
		p.expect("check", "right")
		p.expect("replay", "replayed")
	}
	p.expect("fill", "filled")
	p.expect("write", "written")
	p.expect("check", "right")
	if u := n.job("keep").Parts[0]; u.Swapped != 0 || u.Used != used {
		t.Errorf("in the end it has %d bytes, %d of them with the host; %d before", u.Used, u.Swapped, used)
	}
}

// A job on two devices goes out of both, and comes in to both.
func TestSwapOnTwoDevices(t *testing.T) {
	n := newFolder(t, "2x256MiB")
	n.arena = 256 * mib
	n.start()
	p := n.run(agent.Request{Memory: 100 * mib, Compute: 500, Mode: "fair", Policy: agent.Lend, Devices: 2}, "keep", "60")
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	n.eventually("the arena is there", func() error { return client.New(n.dir).Swap(t.Context(), "j1", agent.Out) })
	n.becomes("keep", agent.Out)
	for _, u := range n.job("keep").Parts {
		if u.Swapped != u.Used || u.Used == 0 {
			t.Errorf("of device %d: %+v", u.Device, u)
		}
	}
	n.swap("keep", agent.In)
	p.expect("spin", "spun")
	p.expect("check", "right")
}

// What cannot be swapped is refused, and so is what the arena has no room for.
func TestNoRoomInTheArena(t *testing.T) {
	n := newFolder(t, "1x256MiB")
	n.arena = 100 * mib
	n.start()
	ask := agent.Request{Name: "x", Devices: 1, Memory: 128 * mib, Compute: 250, Mode: "fair", Policy: agent.Borrow}
	_, err := client.New(n.dir).Begin(t.Context(), ask)
	if err == nil || !strings.Contains(err.Error(), "the arena must have 128 MiB left so that the job can be swapped, where 100 of 100") {
		t.Errorf("%v", err)
	}
	n.run(agent.Request{Memory: 64 * mib, Compute: 250, Mode: "fair"}, "hold", "16").line()
	err = client.New(n.dir).Swap(t.Context(), "j1", agent.Out)
	if err == nil || !strings.Contains(err.Error(), "job j1 may not be swapped: begin it with --preemptible or --lend") {
		t.Errorf("%v", err)
	}
}

// A swap is as fast as copies are. How fast is measured where nothing else
// runs (make bench-swap); elsewhere it only has to work.
func TestSwapSpeed(t *testing.T) {
	size, rounds, measure := 64, 3, os.Getenv("WEIR_MEASURE") != ""
	if measure {
		size, rounds = 1024, 15
	}
	n := newFolder(t, "1x2GiB")
	n.arena = 1100 * mib
	n.start()
	p := n.run(agent.Request{Memory: uint64(size+20) * mib, Compute: 250, Mode: "fair", Policy: agent.Lend}, "keep",
		strconv.Itoa(size))
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	n.eventually("the arena is there", func() error { return client.New(n.dir).Swap(t.Context(), "j1", agent.Out) })
	n.becomes("keep", agent.Out)
	n.swap("keep", agent.In)
	n.becomes("keep", agent.In)
	bytes := float64(n.job("keep").Parts[0].Used)
	copies, rates := []float64{}, map[string][]float64{}
	for range rounds {
		for _, to := range []string{agent.Out, agent.In} {
			if to == agent.Out {
				rate, err := strconv.ParseFloat(p.tell("speed"), 64)
				if err != nil {
					t.Fatal(err)
				}
				copies = append(copies, rate)
			}
			n.swap("keep", to)
			n.becomes("keep", to)
			rates[to] = append(rates[to], bytes/float64(n.job("keep").Took)*1e9)
		}
	}
	host := median(copies)
	for to, r := range rates {
		rate := median(r)
		t.Logf("%s: %.0f MiB at %.2f GB/s, %.0f%% of the %.2f GB/s at which this machine copies; medians of %d", to,
			bytes/mib, rate/1e9, 100*rate/host, host/1e9, len(r))
		if measure && rate < 0.8*host {
			t.Errorf("%s is slower than 80%% of a copy", to)
		}
	}
	p.expect("check", "right")
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
