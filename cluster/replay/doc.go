// Package replay plays a schedule of submissions against a cluster at the
// times that it names, shows what the cluster makes of it, and reports by
// project at the end.
//
// It does not schedule and simulates nothing: nodes let the pods run and end.
// It stands for the controllers of pods that have none: a pod that is evicted
// is submitted again. On a machine that is too slow for the schedule its clock
// stands still at times, and that of the nodes with it.
package replay

import (
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// Item is one submission: a pod, or an object whose controller makes pods.
type Item struct {
	Project string // and namespace
	Name    string
	At      time.Duration // since the start of the replay
	Pods    int           // that it asks for
	// Object returns the object to create, a new one each time.
	Object func() Object
}

// Object is any Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// Options says what is replayed, where, and to whom it is shown.
type Options struct {
	Config *rest.Config
	Items  []Item // in order of At
	// GPUs of the cluster, to show the use of.
	GPUs int
	// Out is where progress and report go; nil shows nothing.
	Out io.Writer
	// Hold is told when the replay's clock stood still, for the nodes to let
	// pods run longer by as much; nil tells nobody.
	Hold func(time.Duration)
	// Terminal redraws the progress in place; else there is a line for each.
	Terminal bool
	// Every is the time between two looks at the progress; 0 is a second.
	Every time.Duration
	// Patience is how long the replay goes on when pods wait and nothing
	// changes any more; 0 is thirty seconds. What waits then is explained in
	// the report.
	Patience time.Duration
}

// The reasons of the events by which Weir tells that it stopped a pod.
var rules = []struct{ reason, rule string }{
	{"Reclaimed", "reclaim"},
	{"Preempted", "preempt"},
	{"Moved", "consolidate"},
}

// life is how far a pod is.
type life int

const (
	waiting life = iota
	placed
	ended
	gone
)

func lifeOf(pod *corev1.Pod) life {
	switch {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return ended
	case pod.Spec.NodeName != "":
		return placed
	}
	return waiting
}
