package live_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster/simnode"
)

// tale is a small history: who has how much, and what is submitted and ends,
// one thing after the other. It is played in a cluster and in a simulation.
type tale struct {
	seed     uint64
	nodes    []simnode.Spec
	projects []share
	spared   time.Duration // surplusRuntime of the pool
	steps    []step
}

// share is a project and its quota in hundredths of a GPU.
type share struct {
	name  string
	quota int64
}

// step is one thing that happens: a job is submitted, or a pod ends.
type step struct {
	submit *taleJob
	job    *taleJob // whose pod ends
	pod    int
}

// taleJob is a gang of equal pods.
type taleJob struct {
	project, name string
	pods          int
	gpus          int   // whole, for each pod
	part          int64 // or hundredths of one
	priority      int32
	preemptible   bool
}

func (j *taleJob) pod(i int) string { return fmt.Sprintf("%s/%s-%d", j.project, j.name, i) }

// number returns which pod has an ID.
func (j *taleJob) number(id string) int {
	for i := range j.pods {
		if j.pod(i) == id {
			return i
		}
	}
	return -1
}

// The sizes of tales.
const (
	taleSubmissions = 10
	hundredth       = 10_000 // of a GPU, in micro
)

// drawTale makes up a tale. The first project has no quota and comes first, so
// that much is lent; the others come for what is theirs.
func drawTale(seed uint64) *tale {
	r := rand.New(rand.NewPCG(seed, 0))
	counted := seed%4 == 0
	n, gpus := 2+r.IntN(2), 2+2*r.IntN(2)
	t := &tale{seed: seed, nodes: nodes(n, gpus, counted)}
	if t.spared = v1alpha1.DefaultSurplusRuntime; seed%2 > 0 {
		t.spared = 0
	}
	all := int64(n * gpus * 100)
	birch := all * int64(30+r.IntN(41)) / 100 / 50 * 50
	t.projects = []share{{"ash", 0}, {"birch", birch}, {"cedar", all - birch}}
	var there []*taleJob
	for i := range taleSubmissions {
		if len(there) > 2 && r.IntN(3) == 0 {
			k := r.IntN(len(there))
			t.end(there[k])
			there = slices.Delete(there, k, k+1)
		}
		j := drawJob(r, i, t, counted)
		there = append(there, j)
		t.steps = append(t.steps, step{submit: j})
	}
	return t
}

func drawJob(r *rand.Rand, i int, t *tale, counted bool) *taleJob {
	j := &taleJob{name: fmt.Sprintf("job-%d", i), priority: 50, preemptible: r.IntN(8) > 0}
	if j.project = "ash"; i > 2 {
		j.project = t.projects[r.IntN(len(t.projects))].name
	}
	if i == 0 {
		j.preemptible = true
	}
	if r.IntN(3) == 0 {
		j.priority = 60
	}
	j.pods = 1 + r.IntN(3)
	if !counted && r.IntN(2) == 0 {
		j.part = []int64{25, 30, 50, 75}[r.IntN(4)]
		return j
	}
	j.gpus = 1 + r.IntN(2)
	return j
}

// end lets a job end, pod by pod: pods do not end in one breath.
func (t *tale) end(j *taleJob) {
	for pod := range j.pods {
		t.steps = append(t.steps, step{job: j, pod: pod})
	}
}

// String tells the tale.
func (t *tale) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tale %d: %d nodes of %d GPUs", t.seed, len(t.nodes), t.nodes[0].GPUs)
	for _, p := range t.projects {
		fmt.Fprintf(&b, ", %s has %s", p.name, hundredths(p.quota))
	}
	for i, s := range t.steps {
		fmt.Fprintf(&b, "\n  %2d %v", i, s)
	}
	return b.String()
}

func (s step) String() string {
	j := s.submit
	if j == nil {
		return s.job.pod(s.pod) + " ends"
	}
	asks := fmt.Sprintf("%d GPUs", j.gpus)
	if j.part > 0 {
		asks = hundredths(j.part) + " of a GPU"
	}
	return fmt.Sprintf("%s/%s is submitted: %d pods of %s, priority %d, preemptible %t",
		j.project, j.name, j.pods, asks, j.priority, j.preemptible)
}

// hundredths writes a number of them as a decimal.
func hundredths(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }
