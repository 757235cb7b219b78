package state

import (
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// Book names the classes in which pods and nodes are equal to the engine's
// [sched.Fitness]. It is told of every object before the state looks at it.
type Book interface {
	Set(obj any)
	Delete(obj any)
	// Fit names the class of a pod's demands on a node.
	Fit(pod *corev1.Pod) string
	// Rekeyed returns, once, the pods whose class changed though they did not.
	Rekeyed() []string
}

// Config is what a state is built with.
type Config struct {
	// Book names the classes of pods; nil takes a pod's own demands.
	Book Book
	// NodeClass names the class of a node; nil makes each its own.
	NodeClass func(*corev1.Node) string
}

// State holds the objects and what the engine was told of them.
type State struct {
	cfg   Config
	rules *workload.Rules

	nodes      map[string]*node
	lossy      set[string] // nodes with devices that are lost
	pools      map[string]*pool
	owners     map[string]*owner
	byDept     map[string]set[string] // owners by the department above them
	namespaces map[string]*namespace
	pods       map[string]*pod
	groups     map[string]*group
	roots      map[workload.Ref]*root
	claims     map[string]*claimed
	templates  map[string]*resourcev1.ResourceClaimTemplate
	mentions   map[types.UID]set[string] // claims by each pod they are reserved for
	byClaim    map[string]set[string]    // pods by the claims and templates they name
	classes    map[string]int32          // values of PriorityClasses
	byClass    map[string]set[string]    // groups by the PriorityClass they look up
	models     models

	projects   map[string]*project             // what is learned of each
	tallies    map[schema.GroupKind]*ruleTally // of the kinds that are roots
	overlapped map[string]string               // what Overlapped said last
	relabelled bool                            // since then, labels or pools changed

	problems map[problemKey]string
	dirty    dirty
}

// dirty is what has to be derived anew.
type dirty struct {
	pools, owners, nodes, pods, projects, groups, claims set[string]
}

// New returns a state that knows of no object.
func New(cfg Config) *State {
	s := &State{
		cfg:        cfg,
		rules:      workload.Builtin(),
		nodes:      map[string]*node{},
		lossy:      set[string]{},
		pools:      map[string]*pool{v1alpha1.DefaultPool: {}},
		owners:     map[string]*owner{},
		byDept:     map[string]set[string]{},
		namespaces: map[string]*namespace{},
		pods:       map[string]*pod{},
		groups:     map[string]*group{},
		roots:      map[workload.Ref]*root{},
		claims:     map[string]*claimed{},
		templates:  map[string]*resourcev1.ResourceClaimTemplate{},
		mentions:   map[types.UID]set[string]{},
		byClaim:    map[string]set[string]{},
		classes:    map[string]int32{},
		byClass:    map[string]set[string]{},
		models:     newModels(),
		problems:   map[problemKey]string{},
		projects:   map[string]*project{},
		tallies:    map[schema.GroupKind]*ruleTally{},
		dirty: dirty{set[string]{}, set[string]{}, set[string]{}, set[string]{}, set[string]{},
			set[string]{}, set[string]{}},
	}
	s.dirty.pools.add(v1alpha1.DefaultPool)
	return s
}

// Set tells of an object that exists and how it looks now, and returns what
// the engine has to be told. Objects of kinds that matter to nothing are
// ignored. The object must not be changed afterwards.
func (s *State) Set(obj any) []sched.Event {
	if s.cfg.Book != nil {
		s.cfg.Book.Set(obj)
	}
	switch o := obj.(type) {
	case *corev1.Node:
		s.setNode(o)
		s.dirty.nodes.add(o.Name)
	case *corev1.Pod:
		s.setPod(o)
	case *corev1.Namespace:
		s.setNamespace(o.Name, o.Labels[ask.Project])
	case *resourcev1.ResourceSlice:
		s.setSlice(o)
	case *resourcev1.ResourceClaim:
		s.setClaim(o)
	case *resourcev1.ResourceClaimTemplate:
		s.setTemplate(o.Namespace, o.Name, o)
	case *v1alpha1.Department:
		s.setOwner(departmentName(o.Name), departmentOwner(o))
	case *v1alpha1.Project:
		s.setOwner(projectName(o.Name), projectOwner(o))
	case *v1alpha1.NodePool:
		s.setPool(o.Name, o)
	case *v1alpha1.WorkloadRule:
		s.setRule(o)
	case *schedulingv1.PriorityClass:
		s.setClass(o.Name, o.Value, true)
	case *policyv1.PodDisruptionBudget:
		s.setBudget(o)
	case metav1.Object:
		s.setRoot(o)
	}
	return s.settle()
}

// Delete tells that an object is gone and returns what the engine has to be
// told.
func (s *State) Delete(obj any) []sched.Event {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if s.cfg.Book != nil {
		s.cfg.Book.Delete(obj)
	}
	switch o := obj.(type) {
	case *corev1.Node:
		s.node(o.Name).obj = nil
		s.relabelled = true
		s.dirty.nodes.add(o.Name)
	case *corev1.Pod:
		s.dropPod(podID(o))
	case *corev1.Namespace:
		s.setNamespace(o.Name, "")
	case *resourcev1.ResourceSlice:
		s.dropSlice(o)
	case *resourcev1.ResourceClaim:
		s.dropClaim(o)
	case *resourcev1.ResourceClaimTemplate:
		s.setTemplate(o.Namespace, o.Name, nil)
	case *v1alpha1.Department:
		s.setOwner(departmentName(o.Name), nil)
	case *v1alpha1.Project:
		s.setOwner(projectName(o.Name), nil)
	case *v1alpha1.NodePool:
		s.setPool(o.Name, nil)
	case *v1alpha1.WorkloadRule:
		s.dropRule(o.Name)
	case *schedulingv1.PriorityClass:
		s.setClass(o.Name, 0, false)
	case *policyv1.PodDisruptionBudget:
		s.dropBudget(o)
	case metav1.Object:
		s.dropRoot(o)
	}
	return s.settle()
}

// settle derives anew what is dirty, in the order in which one thing depends
// on another, and returns the difference.
func (s *State) settle() []sched.Event {
	if s.cfg.Book != nil {
		for _, id := range s.cfg.Book.Rekeyed() {
			s.dirty.pods.add(id)
		}
	}
	var d difference
	for _, name := range take(&s.dirty.pools) {
		s.derivePool(name, &d)
	}
	s.deriveOwners(&d)
	for _, name := range take(&s.dirty.nodes) {
		s.deriveNode(name, &d)
	}
	for _, id := range s.dirty.pods.keys() {
		s.joinGroup(id)
		s.learn(id)
	}
	for _, name := range take(&s.dirty.projects) {
		s.deriveProject(name)
	}
	for _, id := range take(&s.dirty.groups) {
		s.deriveGroup(id, &d)
	}
	for _, id := range take(&s.dirty.pods) {
		s.derivePod(id, &d)
	}
	for _, key := range take(&s.dirty.claims) {
		s.deriveClaim(key, &d)
	}
	return d.events(s)
}
