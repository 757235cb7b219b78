package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/fitness"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/learn"
)

// Run says what the scheduler would do now with the objects. An error says
// what of them a cluster would refuse. The objects are used up: read them
// again for another run.
func (in *Input) Run(now time.Time) (*Result, error) {
	if err := checkTree(in.Objects); err != nil {
		return nil, err
	}
	r, err := newRun(now)
	if err != nil {
		return nil, err
	}
	pods, err := r.prepare(in)
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if err := r.tell(p); err != nil {
			return nil, err
		}
	}
	if err := r.expect(); err != nil {
		return nil, err
	}
	result := r.decide()
	result.Notes = append(slices.Clone(in.Notes), r.notes...)
	return result, nil
}

// Cluster returns the objects as a cluster would hold them once its
// controllers have made the pods, each complete: what a live scheduler has to
// be shown for it to give the same answer.
func (in *Input) Cluster(now time.Time) ([]runtime.Object, error) {
	if err := checkTree(in.Objects); err != nil {
		return nil, err
	}
	r, err := newRun(now)
	if err != nil {
		return nil, err
	}
	pods, err := r.prepare(in)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(r.told)
	for _, p := range pods {
		all = append(all, p)
	}
	return all, nil
}

// run is one engine with what stands around it.
type run struct {
	now    time.Time
	book   *fitness.Book
	state  *state.State
	engine *sched.Engine
	pods   *learn.Follower // what they are like
	told   []runtime.Object
	notes  []string
}

func newRun(now time.Time) (*run, error) {
	book, err := fitness.New(nil, ask.FitKey)
	if err != nil {
		return nil, err
	}
	return &run{
		now:    now,
		book:   book,
		state:  state.New(state.Config{Book: book, NodeClass: fitness.NodeClass}),
		engine: sched.New(sched.Config{Fitness: book}),
		pods:   learn.NewFollower(),
	}, nil
}

func (r *run) tell(obj runtime.Object) error {
	for _, ev := range r.state.Set(obj) {
		if err := r.engine.Apply(ev); err != nil {
			return fmt.Errorf("%s: %w", title(obj), err)
		}
		r.pods.Told(ev)
	}
	return nil
}

// expect tells the engine that the pods to come are as those that there are.
func (r *run) expect() error {
	if ev, ok := r.pods.Due(); ok {
		return r.engine.Apply(ev)
	}
	return nil
}

// prepare completes the objects, tells of all but the pods, and returns the
// pods: those that are there and those that would be made.
func (r *run) prepare(in *Input) ([]*corev1.Pod, error) {
	objects := append(slices.Clone(in.Objects), namespacesOf(in.Objects)...)
	var pods []*corev1.Pod
	byID := map[string]*corev1.Pod{}
	for _, obj := range objects {
		completeTime(accessor(obj), r.now)
		switch o := obj.(type) {
		case *corev1.Node:
			completeNode(o)
		case *corev1.Pod:
			if o.UID == "" {
				o.UID = uidOf(o.Namespace, o.Name)
			}
			pods = append(pods, o)
			byID[o.Namespace+"/"+o.Name] = o
		}
	}
	family := newFamily(objects, pods, r.rulesOf(in))
	standIns, notes := family.orphans(pods)
	r.notes = append(r.notes, notes...)
	objects = append(objects, standIns...)
	if err := completeBudgets(objects, pods); err != nil {
		return nil, err
	}
	for _, obj := range objects {
		switch o := obj.(type) {
		case *corev1.Pod:
			continue
		case *resourcev1.ResourceClaim:
			completeClaim(o, byID)
		}
		r.told = append(r.told, obj)
		if err := r.tell(obj); err != nil {
			return nil, err
		}
	}
	return r.admit(in, objects, pods, family)
}

// admit makes the pods that controllers would make and lets admission look at
// all that wait.
func (r *run) admit(in *Input, objects []runtime.Object, pods []*corev1.Pod, family *family) ([]*corev1.Pod, error) {
	admission, classes := newAdmission(objects, r.state), newClasses(objects)
	var errs []error
	for _, obj := range objects {
		rule := family.childless(obj)
		if rule == nil {
			continue
		}
		if err := admission.maker(obj); err != nil {
			errs = append(errs, in.where(obj, err))
			continue
		}
		made, note, err := expand(rule, obj)
		if err != nil {
			errs = append(errs, in.where(obj, err))
		}
		if note != "" {
			r.notes = append(r.notes, note)
		}
		for _, p := range made {
			p.UID = uidOf(p.Namespace, p.Name)
		}
		pods = append(pods, made...)
	}
	for _, p := range pods {
		if err := errors.Join(classes.complete(p), admission.pod(p)); err != nil {
			errs = append(errs, in.where(p, err))
		}
	}
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(title(a), title(b)) })
	return pods, errors.Join(errs...)
}

// decide runs the engine until it has nothing more to say.
func (r *run) decide() *Result {
	result := &Result{Decisions: []Decision{}, Waiting: []Waiting{}}
	now := sched.Time(r.now.UnixMilli())
	for {
		for _, d := range r.engine.Decide(now) {
			result.Decisions = append(result.Decisions, decisionOf(d))
			if d.Action == sched.Start {
				r.book.Assume(d.Pod, d.Grant.Node)
			}
		}
		if !r.engine.More() {
			break
		}
	}
	promised := map[string]bool{}
	for _, p := range r.engine.Promises() {
		promised[p.Workload] = true
		result.Decisions = append(result.Decisions, promiseOf(p))
	}
	r.explain(result, promised)
	return result
}

// explain says why what waits does.
func (r *run) explain(result *Result, promised map[string]bool) {
	waits := map[string]bool{}
	for _, id := range r.engine.Waiting() {
		if promised[id] {
			continue
		}
		if ex, ok := r.engine.Explain(id); ok && ex.Reason != sched.ReasonRunning {
			waits[id] = true
			result.Waiting = append(result.Waiting, waitingOf(id, string(ex.Reason), ex.Message))
		}
	}
	for _, id := range r.state.Workloads() {
		if waits[id] || promised[id] {
			continue
		}
		w, _ := r.state.Workload(id)
		for _, pod := range w.Pods {
			if p, _ := r.state.Pod(pod); p.Problem != nil && !p.Told {
				result.Waiting = append(result.Waiting, waitingOf(id, reasonInvalid, p.Problem.Error()))
				break
			}
		}
	}
	slices.SortStableFunc(result.Waiting, func(a, b Waiting) int { return strings.Compare(a.Workload, b.Workload) })
	for _, p := range r.state.Problems() {
		if p.Kind != "Pod" && p.Kind != "Workload" {
			r.notes = append(r.notes, fmt.Sprintf("%s %s: %s", p.Kind, p.ID, p.Message))
		}
	}
}

// reasonInvalid is the reason of pods that cannot be placed as they are, in
// the live scheduler's words.
const reasonInvalid = "InvalidRequest"

// rulesOf returns the rules in force for the input.
func (r *run) rulesOf(in *Input) *workload.Rules {
	for _, obj := range in.Objects {
		if rule, ok := obj.(*v1alpha1.WorkloadRule); ok {
			_ = r.tell(rule) // compiled when it was read
		}
	}
	return r.state.Rules()
}
