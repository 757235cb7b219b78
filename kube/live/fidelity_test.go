package live_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/sched"
)

// tales is how many are compared.
const tales = 24

// TestClusterDecidesAsSimulated plays tales in the simulator and in a cluster,
// and compares fact by fact who starts where with how much of which device, and
// who is stopped for whom by which rule.
//
// In a cluster, many things go on beside each other, and their order is nobody's
// to choose. So that both are told the same, the test stands for kubelets and
// for the controllers of Jobs: a pod goes, or comes again, when it is its turn
// in the simulation, and the next thing happens when all is there that the
// simulator decided. Decisions upon one fact are compared without their order,
// as workers carry them out beside each other. Where nodes count their devices
// nobody says which ones a pod has. The scheduler goes by the clock of the tale,
// and nothing may be moved: what is moved comes again as another pod.
func TestClusterDecidesAsSimulated(t *testing.T) {
	seen := map[string]int{}
	for seed, played := uint64(0), 0; played < tales; seed++ {
		tale := drawTale(seed)
		s, err := tale.simulate(time.Now().Add(-time.Minute).Truncate(time.Second))
		if err != nil {
			t.Fatalf("%v\n%v", err, tale)
		}
		if s.hasty() {
			continue
		}
		played++
		s.count(seen)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newTheatre(t, tale).compare(s) })
	}
	t.Logf("%d tales: %v", tales, seen)
	for _, what := range []string{"reclaims", "preemptions", "gangs", "parts", "on count nodes"} {
		if seen[what] < 10 && !t.Failed() {
			t.Errorf("of %s there are only %d in all tales", what, seen[what])
		}
	}
}

// hasty reports whether anything is started and stopped upon one fact. In a
// cluster it may be stopped before it is bound, and the tale can go two ways.
func (s *simulation) hasty() bool {
	return slices.ContainsFunc(s.moments, func(m moment) bool {
		pods := map[string]bool{}
		for _, line := range m.does {
			pod, _, _ := strings.Cut(line, " ")
			if pods[pod] {
				return true
			}
			pods[pod] = true
		}
		return false
	})
}

// count adds up what is decided, by kind.
func (s *simulation) count(seen map[string]int) {
	seen["reclaims"] += s.seen[sched.Reclaim]
	seen["preemptions"] += s.seen[sched.Preempt]
	seen["facts"] += len(s.moments)
	for _, m := range s.moments {
		seen["decisions"] += len(m.does)
		if m.what != comesUp || !slices.ContainsFunc(m.does, func(line string) bool {
			return strings.HasPrefix(line, m.job.pod(0)+" starts")
		}) {
			continue
		}
		seen["gangs"] += min(m.job.pods-1, 1)
		seen["parts"] += int(min(m.job.part, 1))
		if s.tale.nodes[0].Counted {
			seen["on count nodes"]++
		}
	}
}
