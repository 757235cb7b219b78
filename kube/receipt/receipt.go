// Package receipt writes down, as Kubernetes Events, what was done to whom,
// for whom and by which rule, in words for the people whose work it is.
//
// A receipt is written once per change. It is read by people only: no decision
// is ever taken from one, and losing one harms nothing.
package receipt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
)

// Receipt is one thing to tell about one object.
type Receipt struct {
	About   corev1.ObjectReference
	Related *corev1.ObjectReference
	Warning bool
	Reason  string // one word: "Reclaimed"
	Action  string // what was done: "Evict"
	Note    string // one or two sentences
}

// controller is who writes the events.
const controller = "weir.dev/scheduler"

// noteLimit is how long the API server lets a note be.
const noteLimit = 1024

// Writer writes receipts. It may be used from many goroutines.
type Writer struct {
	client   kubernetes.Interface
	clock    clock.PassiveClock
	instance string
	wrote    func(resource, verb string)
}

// NewWriter returns a Writer. instance is the name of this scheduler; wrote is
// told of every write that is tried.
func NewWriter(client kubernetes.Interface, clock clock.PassiveClock, instance string,
	wrote func(resource, verb string)) *Writer {
	return &Writer{client: client, clock: clock, instance: instance, wrote: wrote}
}

// Write writes a receipt. Its name follows from its content and the minute, so
// that the same thing told twice is one event.
func (w *Writer) Write(ctx context.Context, r *Receipt) error {
	event := w.event(r)
	w.wrote("events", "create")
	_, err := w.client.EventsV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
	if err == nil || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return nil // its namespace may be gone, and all readers with it
	}
	return fmt.Errorf("writing the event %s about %s %s/%s: %w",
		r.Reason, r.About.Kind, r.About.Namespace, r.About.Name, err)
}

func (w *Writer) event(r *Receipt) *eventsv1.Event {
	now := w.clock.Now()
	namespace := r.About.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	kind := corev1.EventTypeNormal
	if r.Warning {
		kind = corev1.EventTypeWarning
	}
	note := r.Note
	if len(note) > noteLimit {
		note = strings.ToValidUTF8(note[:noteLimit-len("…")], "") + "…"
	}
	h := sha256.New()
	fmt.Fprintln(h, r.About.Kind, r.About.Namespace, r.About.Name, r.About.UID, r.Reason, note, now.Unix()/60)
	name := r.About.Name
	if len(name) > 200 {
		name = name[:200]
	}
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: name + "." + hex.EncodeToString(h.Sum(nil)[:8])},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: controller,
		ReportingInstance:   w.instance,
		Action:              r.Action,
		Reason:              r.Reason,
		Regarding:           r.About,
		Related:             r.Related,
		Note:                note,
		Type:                kind,
	}
}

// AboutPod refers to a pod.
func AboutPod(pod *corev1.Pod) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
}

// AboutController refers to what controls a pod; ok is false for bare pods.
func AboutController(pod *corev1.Pod) (ref corev1.ObjectReference, ok bool) {
	c := metav1.GetControllerOfNoCopy(pod)
	if c == nil {
		return ref, false
	}
	return corev1.ObjectReference{
		APIVersion: c.APIVersion, Kind: c.Kind, Namespace: pod.Namespace, Name: c.Name, UID: c.UID,
	}, true
}
