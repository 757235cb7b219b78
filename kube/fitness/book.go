// Package fitness answers whether a pod may run on a node for reasons other
// than devices and resources: affinity, taints, spread, host ports, volumes.
// The answers are kube-scheduler's own: a [Book] holds the objects that its
// filter plugins look at and runs those plugins.
//
// Pods that ask the same of a node form a class, named by [Book.Fit]. Most
// classes are static: the answer depends on the node's labels and taints
// alone, so nodes of one [NodeClass] answer alike. Moving classes (affinity
// between pods, topology spread, host ports, volumes, node names) depend on
// more and are asked afresh for every placement.
//
// It does not count resources or devices (package sched does), does not score,
// and talks to no cluster, except that [Volumes.Bind] writes the volume
// choices of a placed pod. A Book is not safe for concurrent use.
package fitness

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gpu/weir/sched"
)

// Book holds nodes, pods, namespaces and volumes, and answers from them.
type Book struct {
	key     func(*corev1.Pod) string
	plugins plugins
	stores  stores
	scene   *scene
	pods    map[string]*entry
	classes map[string]*class
	terms   foreignTerms

	// shelves counts the changes of the volumes on offer, so that pods which
	// wait for one form a new class, and are looked at again.
	shelves int
	rekeyed map[string]struct{}
}

var _ sched.Fitness = (*Book)(nil)

// entry is a pod that has not ended.
type entry struct {
	pod     *corev1.Pod
	fit     string
	assumed string // node, while the pod is being bound
}

// node returns where the pod is, or is about to be.
func (e *entry) node() string {
	if e.pod.Spec.NodeName != "" {
		return e.pod.Spec.NodeName
	}
	return e.assumed
}

// New returns an empty book. key names what a pod itself demands of a node;
// "" stands for nothing at all. client is used by [Volumes.Bind] only, and may
// be nil where nothing is bound.
func New(client kubernetes.Interface, key func(*corev1.Pod) string) (*Book, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	b := &Book{
		key:     key,
		stores:  newStores(factory),
		scene:   newScene(),
		pods:    map[string]*entry{},
		classes: map[string]*class{},
		rekeyed: map[string]struct{}{},
	}
	b.terms = newForeignTerms(b.namespaceLabels)
	var err error
	if b.plugins, err = newPlugins(&handle{factory: factory, client: client, scene: b.scene}); err != nil {
		return nil, fmt.Errorf("starting kube-scheduler's filter plugins: %w", err)
	}
	return b, nil
}

// Set records that an object exists and how it looks now. Kinds that do not
// matter here are ignored.
func (b *Book) Set(obj any) {
	switch o := obj.(type) {
	case *corev1.Pod:
		b.setPod(o)
	case *corev1.Node:
		b.scene.setNode(o)
		b.stores.set(o)
	case *corev1.Namespace:
		b.stores.set(o)
		b.namespaceChanged(o.Name)
	default:
		if b.stores.set(obj) {
			b.volumeChanged(obj)
		}
	}
}

// Delete records that an object is gone.
func (b *Book) Delete(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	switch o := obj.(type) {
	case *corev1.Pod:
		b.dropPod(ID(o))
	case *corev1.Node:
		b.scene.dropNode(o.Name)
		b.stores.delete(o)
	default:
		if b.stores.delete(obj) {
			b.volumeChanged(obj)
		}
	}
}

// Assume records that a pod is about to run on a node, before the API shows
// it. It holds until the pod is seen bound or [Book.Forget] takes it back.
func (b *Book) Assume(pod, node string) {
	if e := b.pods[pod]; e != nil && e.pod.Spec.NodeName == "" {
		b.scene.remove(e)
		e.assumed = node
		b.scene.add(e)
	}
}

// Forget takes an [Book.Assume] back.
func (b *Book) Forget(pod string) {
	if e := b.pods[pod]; e != nil && e.assumed != "" {
		b.scene.remove(e)
		e.assumed = ""
		b.scene.add(e)
	}
}

// Rekeyed returns, once, the pods whose class changed though they did not:
// those that another pod's anti-affinity now keeps away, or whose volumes
// changed. Their asks have to be told to the engine again.
func (b *Book) Rekeyed() []string {
	if len(b.rekeyed) == 0 {
		return nil
	}
	ids := make([]string, 0, len(b.rekeyed))
	for id := range b.rekeyed {
		ids = append(ids, id)
	}
	clear(b.rekeyed)
	slices.Sort(ids)
	return ids
}

// ID names a pod as the engine does: "namespace/name".
func ID(pod *corev1.Pod) string { return pod.Namespace + "/" + pod.Name }

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func (b *Book) setPod(pod *corev1.Pod) {
	id := ID(pod)
	if ended(pod) {
		b.dropPod(id)
		return
	}
	pod = withUID(pod)
	old := b.pods[id]
	e := &entry{pod: pod}
	if old != nil {
		if old.pod.UID == pod.UID && pod.Spec.NodeName == "" {
			e.assumed = old.assumed
		}
		b.scene.remove(old)
	}
	b.pods[id] = e
	if usesClaims(pod) {
		b.stores.set(pod) // those who bind its volumes see whether it is still there
	}
	b.scene.add(e)
	b.rekeyAll(b.terms.set(id, pod))
	b.classify(e)
	if old != nil {
		b.leave(old.fit)
	}
}

func (b *Book) dropPod(id string) {
	e := b.pods[id]
	if e == nil {
		return
	}
	delete(b.pods, id)
	delete(b.rekeyed, id)
	if usesClaims(e.pod) {
		b.stores.delete(e.pod)
	}
	b.scene.remove(e)
	b.leave(e.fit)
	b.rekeyAll(b.terms.drop(id))
}

// withUID returns the pod with a UID: the plugins tell pods apart by it, and
// pods that were read from files have none.
func withUID(pod *corev1.Pod) *corev1.Pod {
	if pod.UID != "" {
		return pod
	}
	named := *pod
	named.UID = uidOf(pod)
	return &named
}

func (b *Book) namespaceLabels(name string) map[string]string {
	ns, err := b.stores.namespaces.Get(name)
	if err != nil {
		return nil
	}
	return ns.Labels
}

// namespaceChanged looks again at the pods of a namespace whose labels may
// have changed: anti-affinity may select namespaces by label.
func (b *Book) namespaceChanged(name string) {
	b.scene.touch()
	if b.terms.empty() {
		return
	}
	for _, e := range b.pods {
		if e.pod.Namespace == name {
			b.rekey(e)
		}
	}
}

// volumeChanged looks again at the waiting pods that the change may concern.
func (b *Book) volumeChanged(obj any) {
	b.scene.touch()
	claim, isClaim := obj.(*corev1.PersistentVolumeClaim)
	if !isClaim {
		if pv, ok := obj.(*corev1.PersistentVolume); ok && pv.Spec.ClaimRef != nil {
			return // somebody's already: its claim tells the rest
		}
		b.shelves++
	}
	for _, e := range b.pods {
		if e.node() == "" && usesClaims(e.pod) && (!isClaim || usesClaim(e.pod, claim)) {
			b.rekey(e)
		}
	}
}

func (b *Book) rekeyAll(changed bool) {
	if !changed {
		return
	}
	for _, e := range b.pods {
		if e.node() == "" {
			b.rekey(e)
		}
	}
}

func (b *Book) rekey(e *entry) {
	old := e.fit
	if fit := b.Fit(e.pod); fit == old {
		return
	}
	b.classify(e)
	b.leave(old)
	b.rekeyed[ID(e.pod)] = struct{}{}
}
