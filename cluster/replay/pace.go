package replay

import (
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/cluster/simnode"
)

// pace is the clock of a replay. It stands still while the cluster is too slow
// to take what is due, and what is submitted runs longer by as much: so a slow
// machine shows the same crowd, only later.
type pace struct {
	start time.Time

	mu   sync.Mutex
	held time.Duration // how long it stood still so far
	at   time.Duration // of the last item
}

// slack is how late an item may be without the clock being stopped for it.
const slack = 100 * time.Millisecond

// settle is the time at the start from which nothing is concluded yet.
const settle = 5 * time.Second

// due returns when an item is to be submitted.
func (p *pace) due(at time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start.Add(at + p.held)
}

// taken notes that an item was taken at a time.
func (p *pace) taken(at time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = at
	if late := now.Sub(p.start.Add(at + p.held)); late > slack {
		p.held += late
	}
}

// behind returns how long the clock stood still.
func (p *pace) behind() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// slower returns how many times as long as planned the replay takes.
func (p *pace) slower() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at < settle {
		return 1
	}
	return 1 + float64(p.held)/float64(p.at)
}

// stretch makes the pods of an object run so many times as long.
func stretch(obj Object, times float64) {
	var annotations map[string]string
	switch o := obj.(type) {
	case *corev1.Pod:
		annotations = o.Annotations
	case *batchv1.Job:
		annotations = o.Spec.Template.Annotations
	}
	run, err := time.ParseDuration(annotations[simnode.DurationAnnotation])
	if err != nil || times <= 1 {
		return
	}
	longer := time.Duration(float64(run) * times)
	annotations[simnode.DurationAnnotation] = longer.Round(time.Millisecond).String()
}
