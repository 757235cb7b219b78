package fitness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/weir-gpu/weir/sched"
)

// class is a set of pods that ask the same of a node.
type class struct {
	pod    *corev1.Pod // one of them, without its place
	moving bool
	pods   int

	// What the plugins worked out before looking at single nodes: for moving
	// classes it holds for one state of the scene only.
	state   fwk.CycleState
	active  []fwk.FilterPlugin
	only    map[string]bool // the nodes that come into question; nil: all
	refused string          // why no node does
	scene   uint64
}

// Fit names the class of a pod; it belongs in [sched.Ask.Fit].
func (b *Book) Fit(pod *corev1.Pod) string {
	fit := b.key(pod)
	if !b.terms.empty() {
		if against := b.terms.against(pod); against != "" {
			fit += "!" + against
		}
	}
	if usesClaims(pod) {
		fit += "~" + b.volumeKey(pod)
	}
	return fit
}

// classify puts an entry into its class, which it makes if there is none.
func (b *Book) classify(e *entry) {
	e.fit = b.Fit(e.pod)
	c := b.classes[e.fit]
	if c == nil {
		pod := *e.pod
		pod.Spec.NodeName = ""
		c = &class{pod: &pod, moving: moves(&pod) || strings.Contains(e.fit, "!")}
		b.classes[e.fit] = c
	}
	c.pods++
}

func (b *Book) leave(fit string) {
	if c := b.classes[fit]; c != nil {
		if c.pods--; c.pods == 0 {
			delete(b.classes, fit)
		}
	}
}

// Moving implements [sched.Fitness].
func (b *Book) Moving(fit string) bool {
	c := b.classes[fit]
	return c != nil && c.moving
}

// Fits implements [sched.Fitness]. A placement of others at the node "" says
// that the pod has left.
func (b *Book) Fits(fit, node string, others []sched.Placement) string {
	if fit == "" {
		return ""
	}
	c := b.classes[fit]
	if c == nil {
		return "what the pod asks of a node is not known yet"
	}
	if c.moving {
		b.scene.stage(others, b.pods)
	}
	info := b.scene.infos[node]
	if info == nil {
		return "the node is not known yet"
	}
	b.prepare(c)
	if c.refused != "" {
		return c.refused
	}
	if c.only != nil && !c.only[node] {
		return "the pod names other nodes"
	}
	for _, p := range c.active {
		if status := p.Filter(context.Background(), c.state, c.pod, info); !status.IsSuccess() {
			return reason(status, p.Name(), c.pod, info.Node())
		}
	}
	return ""
}

// prepare runs the plugins' PreFilter where its result is not at hand.
func (b *Book) prepare(c *class) {
	version := b.scene.version.Load()
	if c.state != nil && (!c.moving || c.scene == version) {
		return
	}
	c.state, c.active, c.only, c.refused, c.scene = framework.NewCycleState(), nil, nil, "", version
	run := b.plugins.static
	if c.moving {
		run = b.plugins.all
	}
	for _, p := range run {
		pre, ok := p.(fwk.PreFilterPlugin)
		if !ok {
			c.active = append(c.active, p)
			continue
		}
		result, status := pre.PreFilter(context.Background(), c.state, c.pod, b.scene.list())
		switch {
		case status.IsSkip():
			continue
		case !status.IsSuccess():
			c.refused = reason(status, p.Name(), c.pod, nil)
			return
		}
		c.active = append(c.active, p)
		if !result.AllNodes() {
			c.narrow(result)
		}
	}
}

func (c *class) narrow(result *fwk.PreFilterResult) {
	only := map[string]bool{}
	for name := range result.NodeNames {
		if c.only == nil || c.only[name] {
			only[name] = true
		}
	}
	c.only = only
}

// moves tells whether a pod's own demands depend on more than a node's class.
func moves(pod *corev1.Pod) bool {
	s := &pod.Spec
	if len(s.TopologySpreadConstraints) > 0 || len(s.Volumes) > 0 && slices.ContainsFunc(s.Volumes, contended) {
		return true
	}
	if a := s.Affinity; a != nil && (demandsPods(a) || namesNodes(a.NodeAffinity)) {
		return true
	}
	if _, ok := s.NodeSelector[corev1.LabelHostname]; ok {
		return true
	}
	return usesHostPorts(s.Containers) || usesHostPorts(s.InitContainers)
}

func demandsPods(a *corev1.Affinity) bool {
	return a.PodAffinity != nil && len(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 ||
		a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0
}

// namesNodes tells whether an affinity tells single nodes apart, which
// [NodeClass] does not.
func namesNodes(a *corev1.NodeAffinity) bool {
	if a == nil || a.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	for _, t := range a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		if len(t.MatchFields) > 0 {
			return true
		}
		for _, e := range t.MatchExpressions {
			if e.Key == corev1.LabelHostname {
				return true
			}
		}
	}
	return false
}

func usesHostPorts(containers []corev1.Container) bool {
	for i := range containers {
		for _, p := range containers[i].Ports {
			if p.HostPort > 0 {
				return true
			}
		}
	}
	return false
}

// NodeClass names what static classes look at on a node: labels, taints and
// whether it takes pods. Nodes of one class answer them alike. The host name
// is left out, as it would make every node its own; pods that ask for it are
// of a moving class.
func NodeClass(node *corev1.Node) string {
	h := sha256.New()
	for _, k := range sortedKeys(node.Labels) {
		if k != corev1.LabelHostname {
			writeAll(h, k, node.Labels[k])
		}
	}
	for _, t := range node.Spec.Taints {
		writeAll(h, "taint", t.Key, t.Value, string(t.Effect))
	}
	writeAll(h, fmt.Sprint(node.Spec.Unschedulable))
	return sum(h)
}

func uidOf(pod *corev1.Pod) types.UID { return types.UID(ID(pod)) }

func writeAll(h hash.Hash, parts ...string) {
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s;", len(p), p)
	}
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:8]) }

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
