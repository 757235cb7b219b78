package state

import (
	"math/bits"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/past"
)

// project is what is known of the pods of one that ended well, and who asked.
// All of it follows from the pods that exist, so a restart knows the same.
type project struct {
	seen  past.Seen
	asked map[past.Kind]*question
}

// question is what one kind of pods is expected to take, and the workloads to
// which that matters.
type question struct {
	answer int64
	groups set[string]
}

// learn notes what a pod took, or takes it back.
func (s *State) learn(id string) {
	p := s.pods[id]
	if p == nil {
		return
	}
	run, ok := past.Run{}, false
	if !p.deleted {
		run, ok = s.ranWell(p.obj)
	}
	if p.ranFor != "" && (!ok || p.ranFor != run.Owner) {
		s.project(p.ranFor).seen.Forget(id)
		s.dirty.projects.add(p.ranFor)
		p.ranFor = ""
	}
	if ok && s.project(run.Owner).seen.Show(id, run) {
		s.dirty.projects.add(run.Owner)
	}
	if ok {
		p.ranFor = run.Owner
	}
}

// ranWell returns what a pod that ended well took. What failed or was stopped
// says nothing of how long its like run.
func (s *State) ranWell(p *corev1.Pod) (past.Run, bool) {
	if !ours(p) || p.Status.Phase != corev1.PodSucceeded || p.Status.StartTime == nil {
		return past.Run{}, false
	}
	ended := int64(0)
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil && !t.FinishedAt.IsZero() {
			ended = max(ended, t.FinishedAt.UnixMilli())
		}
	}
	k := s.kindOfPod(p)
	if ended == 0 || k.Owner == "" || k.GPUs == 0 {
		return past.Run{}, false
	}
	return past.Run{Kind: k, Took: gpuTime(k.GPUs, ended-p.Status.StartTime.UnixMilli()), Ended: ended}, true
}

// kindOfPod says what a pod is told apart by. It goes by the pod alone, since
// what it belonged to may be gone.
func (s *State) kindOfPod(p *corev1.Pod) past.Kind {
	words, _ := ask.ReadWords(p) // what cannot be read is told of where the pod waits
	k := past.Kind{Owner: words.Project, Stem: past.Stem(p.Name)}
	if k.Owner == "" {
		k.Owner = s.namespace(p.Namespace).project()
	}
	if owner := metav1.GetControllerOf(p); owner != nil {
		k.Stem = past.Stem(owner.Name)
	}
	if a, err := ask.FromPod(p, s); err == nil {
		k.GPUs = microGPUs(a)
	}
	return k
}

// microGPUs is what a pod asks for in millionths of devices; 0 where that
// depends on the device.
func microGPUs(a sched.Ask) int64 {
	each := a.Part.Fraction
	switch {
	case a.Part.IsWhole():
		each = sched.GPU
	case a.Part.ComputeMilli > 0:
		each = a.Part.ComputeMilli * (sched.GPU / 1000)
	}
	return int64(a.Devices) * each
}

// gpuTime is the GPU time (ms) of that many micro-GPUs for a time (ms).
func gpuTime(micro, ms int64) int64 {
	hi, lo := bits.Mul64(uint64(micro), uint64(max(ms, 0)))
	if hi >= uint64(sched.GPU) {
		return 1<<63 - 1
	}
	sum, _ := bits.Div64(hi, lo, uint64(sched.GPU))
	return int64(min(sum, 1<<63-1))
}

// times is n times ms, as far as that can be said.
func times(n, ms int64) int64 { return gpuTime(n*sched.GPU, ms) }

// expected returns the GPU time (ms) that a workload is expected to need: what
// somebody wrote, else, where its project serves the shortest first, what was
// learned of pods like its first. It is 0 where nobody knows.
func (s *State) expected(id string, g *group, words *ask.Words) int64 {
	o := s.owners[projectName(g.project)]
	if words.ExpectedRuntime == nil && (o == nil || !o.learns()) { // nearly always: be quick
		return s.inquire(id, g, past.Kind{})
	}
	kind := s.kindOfPod(s.pods[g.members[0]].obj)
	kind.Owner = g.project
	pods := int64(len(g.members))
	if words.ExpectedRuntime != nil || kind.GPUs == 0 {
		s.inquire(id, g, past.Kind{})
		return times(pods, gpuTime(kind.GPUs, or(words.ExpectedRuntime, 0)))
	}
	return times(pods, s.inquire(id, g, kind))
}

// inquire lets a workload be looked at again whenever something else is
// expected of a kind, of the zero kind never, and returns what is expected now.
func (s *State) inquire(id string, g *group, k past.Kind) int64 {
	if g.inquires != k && g.inquires != (past.Kind{}) {
		p := s.project(g.inquires.Owner)
		q := p.asked[g.inquires]
		if q.groups.remove(id); len(q.groups) == 0 {
			delete(p.asked, g.inquires)
			s.dirty.projects.add(g.inquires.Owner)
		}
	}
	g.inquires = k
	if k == (past.Kind{}) {
		return 0
	}
	p := s.project(k.Owner)
	q := p.asked[k]
	if q == nil {
		q = &question{answer: coarse(p.seen.Expected(k)), groups: set[string]{}}
		p.asked[k] = q
	}
	q.groups.add(id)
	return q.answer
}

// coarse rounds up to a power of two: what is told apart by levels that are far
// from each other need not be told anew with each pod that ends.
func coarse(ms int64) int64 {
	if ms <= 1 {
		return ms
	}
	return 1 << min(bits.Len64(uint64(ms-1)), 62)
}

func (s *State) project(name string) *project {
	p := s.projects[name]
	if p == nil {
		p = &project{asked: map[past.Kind]*question{}}
		s.projects[name] = p
	}
	return p
}

// deriveProject marks the workloads of which something else is expected now.
func (s *State) deriveProject(name string) {
	p := s.project(name)
	for k, q := range p.asked {
		answer := coarse(p.seen.Expected(k))
		if answer == q.answer {
			continue
		}
		q.answer = answer
		for id := range q.groups {
			s.dirty.groups.add(id)
		}
	}
	if len(p.asked) == 0 && p.seen.Empty() {
		delete(s.projects, name)
	}
}
