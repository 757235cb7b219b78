package replay

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// Receipt is what Weir wrote about one decision.
type Receipt struct {
	At      time.Duration `json:"at"` // since the start of the replay
	Rule    string        `json:"rule"`
	Project string        `json:"project"`
	Pod     string        `json:"pod"`
	Note    string        `json:"note"`
}

// Use is what a project has, in GPUs.
type Use struct {
	Quota    float64 `json:"quota"`
	Granted  float64 `json:"granted"`
	Borrowed float64 `json:"borrowed"`
	Lent     float64 `json:"lent"`
}

// ProjectReport is what became of a project's submissions.
type ProjectReport struct {
	Name      string `json:"name"`
	Pods      int    `json:"pods"`    // that were submitted
	Placed    int    `json:"placed"`  // of those, that got a place at some time
	Waiting   int    `json:"waiting"` // now
	Now       Use    `json:"now"`
	Most      Use    `json:"most"` // the highest figures that were seen
	Reclaimed int    `json:"reclaimed"`
	Preempted int    `json:"preempted"`
	Moved     int    `json:"moved"`
}

// Report is what became of a replay.
type Report struct {
	Took      time.Duration      `json:"took"`
	Held      time.Duration      `json:"held"`      // of that, to let a slow cluster catch up
	Submitted int                `json:"submitted"` // items
	Items     int                `json:"items"`
	Again     int                `json:"again"` // pods submitted again after an eviction
	Projects  []ProjectReport    `json:"projects"`
	Receipts  map[string]Receipt `json:"receipts"` // the first of each rule
	Waits     []Wait             `json:"waits"`    // what still waits, by reason
	Refused   []Refusal          `json:"refused"`  // what could not be submitted
	Placed    int                `json:"placed"`
	Pods      int                `json:"pods"`
	Waiting   int                `json:"waiting"`
	GPUs      float64            `json:"gpus"` // granted now
}

// Refusal is an item that the cluster did not take.
type Refusal struct {
	Project string `json:"project"`
	Name    string `json:"name"`
	Pods    int    `json:"pods"`
	Message string `json:"message"`
}

// Wait is why pods wait: how many, and what Weir told one of them.
type Wait struct {
	Reason  string `json:"reason"`
	Pods    int    `json:"pods"`
	Pod     string `json:"pod"`
	Message string `json:"message"`
}

// board is what is known of the replay. Its methods may be called from several
// goroutines.
type board struct {
	start time.Time
	items map[types.NamespacedName]*Item

	mu        sync.Mutex
	submitted int
	again     int
	changed   time.Time // when a pod last came, was placed or ended
	projects  map[string]*project
	pods      map[types.UID]*seen
	receipts  map[string]Receipt
	latest    Receipt
	told      map[types.UID]bool // events
	refused   []Refusal
}

type project struct {
	ProjectReport
	everPlaced int
}

// seen is a pod as it was last seen.
type seen struct {
	project string
	name    string
	life    life
	placed  bool // at some time
	reason  string
	message string
}

func newBoard(start time.Time, items []Item) *board {
	b := &board{
		start: start, changed: start,
		items: make(map[types.NamespacedName]*Item, len(items)), projects: map[string]*project{},
		pods: map[types.UID]*seen{}, receipts: map[string]Receipt{}, told: map[types.UID]bool{},
	}
	for i := range items {
		it := &items[i]
		b.items[types.NamespacedName{Namespace: it.Project, Name: it.Name}] = it
		b.project(it.Project).Pods += it.Pods
	}
	return b
}

// project returns the entry of a project. b.mu is held.
func (b *board) project(name string) *project {
	p := b.projects[name]
	if p == nil {
		p = &project{ProjectReport: ProjectReport{Name: name}}
		b.projects[name] = p
	}
	return p
}

// submit takes in that an item was submitted, or why it was not.
func (b *board) submit(item *Item, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.submitted++
		return
	}
	b.refused = append(b.refused, Refusal{
		Project: item.Project, Name: item.Name, Pods: item.Pods, Message: err.Error(),
	})
}

// pod takes in how a pod looks now.
func (b *board) pod(pod *corev1.Pod, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.projects[pod.Namespace] == nil {
		return // nobody's of the replay
	}
	s := b.pods[pod.UID]
	if s == nil {
		s = &seen{project: pod.Namespace, name: pod.Name}
		b.pods[pod.UID] = s
		b.changed = now
	}
	if l := lifeOf(pod); l != s.life {
		s.life, b.changed = l, now
	}
	if !s.placed && pod.Spec.NodeName != "" {
		s.placed = true
		b.project(s.project).everPlaced++
	}
	s.reason, s.message = "", ""
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			s.reason, s.message = c.Reason, c.Message
		}
	}
}

// podGone takes in that a pod is no more. It returns the item to submit again
// when the pod was one by itself and did not end.
func (b *board) podGone(pod *corev1.Pod, now time.Time) *Item {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.pods[pod.UID]
	if s == nil {
		return nil
	}
	b.changed = now
	delete(b.pods, pod.UID)
	if s.life == ended {
		return nil
	}
	if s.placed {
		b.project(s.project).everPlaced-- // its successor is to be placed anew
	}
	item := b.items[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}]
	if item != nil {
		b.again++
	}
	return item
}

// use takes in what Weir says of a project.
func (b *board) use(obj *v1alpha1.Project) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.project(obj.Name)
	total := obj.Status.Total
	p.Now = Use{
		Quota: number(total.Quota.GPU), Granted: number(total.Granted.GPU),
		Borrowed: number(total.Borrowed.GPU), Lent: number(total.Lent.GPU),
	}
	p.Most = Use{
		Quota:    p.Now.Quota,
		Granted:  max(p.Most.Granted, p.Now.Granted),
		Borrowed: max(p.Most.Borrowed, p.Now.Borrowed),
		Lent:     max(p.Most.Lent, p.Now.Lent),
	}
}

// number reads a figure of a status; what is not there is 0.
func number(figure string) float64 {
	f, err := strconv.ParseFloat(figure, 64)
	if err != nil {
		return 0
	}
	return f
}

// event takes in an event that tells of a decision about a pod.
func (b *board) event(e *eventsv1.Event) {
	if e.Regarding.Kind != "Pod" {
		return // a pod's controller is told of the same
	}
	for _, r := range rules {
		if e.Reason == r.reason {
			b.receipt(e, r.rule)
		}
	}
}

func (b *board) receipt(e *eventsv1.Event, rule string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told[e.UID] || e.EventTime.Time.Before(b.start) {
		return
	}
	b.told[e.UID] = true
	p := b.project(e.Regarding.Namespace)
	switch rule {
	case "reclaim":
		p.Reclaimed++
	case "preempt":
		p.Preempted++
	case "consolidate":
		p.Moved++
	}
	b.latest = Receipt{
		At: e.EventTime.Sub(b.start), Rule: rule, Project: e.Regarding.Namespace,
		Pod: e.Regarding.Namespace + "/" + e.Regarding.Name, Note: e.Note,
	}
	if first, ok := b.receipts[rule]; !ok || b.latest.At < first.At {
		b.receipts[rule] = b.latest
	}
}

// report sums up what is known now.
func (b *board) report(now time.Time) *Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Report{
		Took: now.Sub(b.start), Submitted: b.submitted, Items: len(b.items), Again: b.again,
		Receipts: maps.Clone(b.receipts), Refused: slices.Clone(b.refused),
	}
	waits := map[string]*Wait{}
	for _, p := range b.projects {
		p.Waiting = 0
	}
	for _, s := range b.pods {
		if s.life != waiting {
			continue
		}
		b.project(s.project).Waiting++
		w := waits[s.reason]
		if w == nil {
			w = &Wait{Reason: s.reason}
			waits[s.reason] = w
		}
		w.Pods++
		if name := s.project + "/" + s.name; w.Pod == "" || name < w.Pod {
			w.Pod, w.Message = name, s.message
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.projects)) {
		p := b.projects[name]
		p.Placed = min(p.everPlaced, p.Pods)
		r.Projects = append(r.Projects, p.ProjectReport)
		r.Placed += p.Placed
		r.Pods += p.Pods
		r.Waiting += p.Waiting
		r.GPUs += p.Now.Granted
	}
	for _, w := range waits {
		r.Waits = append(r.Waits, *w)
	}
	slices.SortFunc(r.Waits, func(a, b Wait) int {
		return cmp.Or(cmp.Compare(b.Pods, a.Pods), cmp.Compare(a.Reason, b.Reason))
	})
	return r
}

// last returns the latest receipt and when a pod last changed.
func (b *board) last() (Receipt, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latest, b.changed
}
