package fitness

import (
	"crypto/sha256"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// foreignTerms are the required anti-affinity terms of all pods that have not
// ended: a pod that one of them selects is kept away from its holder, though
// it asks for nothing itself.
type foreignTerms struct {
	namespace func(string) map[string]string
	holders   map[string][]string // by pod: the names of its terms
	terms     map[string]*foreignTerm
}

type foreignTerm struct {
	fwk.AffinityTerm
	holders int
}

func newForeignTerms(namespace func(string) map[string]string) foreignTerms {
	return foreignTerms{
		namespace: namespace,
		holders:   map[string][]string{},
		terms:     map[string]*foreignTerm{},
	}
}

func (f *foreignTerms) empty() bool { return len(f.terms) == 0 }

// set records a pod's terms and tells whether the set of terms changed.
func (f *foreignTerms) set(id string, pod *corev1.Pod) bool {
	if !averse(pod) {
		return f.drop(id)
	}
	info, err := framework.NewPodInfo(pod)
	if err != nil {
		return f.drop(id) // the API server refuses such selectors
	}
	var names []string
	changed := false
	for _, t := range info.GetRequiredAntiAffinityTerms() {
		name := termName(t)
		names = append(names, name)
		if f.terms[name] == nil {
			f.terms[name] = &foreignTerm{AffinityTerm: t}
			changed = true
		}
		f.terms[name].holders++
	}
	changed = f.drop(id) || changed
	f.holders[id] = names
	return changed
}

func (f *foreignTerms) drop(id string) bool {
	changed := false
	for _, name := range f.holders[id] {
		if t := f.terms[name]; t.holders > 1 {
			t.holders--
			continue
		}
		delete(f.terms, name)
		changed = true
	}
	delete(f.holders, id)
	return changed
}

// against names the terms that select the pod: "" for none.
func (f *foreignTerms) against(pod *corev1.Pod) string {
	var names []string
	labels := f.namespace(pod.Namespace)
	for name, t := range f.terms {
		if t.Matches(pod, labels) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	h := sha256.New()
	writeAll(h, names...)
	return sum(h)
}

func averse(pod *corev1.Pod) bool {
	a := pod.Spec.Affinity
	return a != nil && a.PodAntiAffinity != nil &&
		len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0
}

func termName(t fwk.AffinityTerm) string {
	namespaces := t.Namespaces.UnsortedList()
	slices.Sort(namespaces)
	return strings.Join([]string{
		strings.Join(namespaces, ","), t.NamespaceSelector.String(), t.Selector.String(), t.TopologyKey,
	}, "|")
}
