package snapshot

import (
	"slices"
	"strings"

	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/sched"
)

// ReasonInvalid is why a workload waits whose own words cannot be understood.
// The engine is not told of those.
const ReasonInvalid sched.Reason = "InvalidRequest"

// Problem is an object that cannot be made sense of.
type Problem struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

// addProblems adds what the translator could not make sense of: workloads that
// the engine does not know of, and why.
func (v *View) addProblems(st *state.State) {
	for _, p := range st.Problems() {
		v.Problems = append(v.Problems, Problem{p.Kind, p.ID, p.Message})
	}
	wrong := map[string]string{}
	for _, id := range st.Workloads() {
		w, ok := st.Workload(id)
		if !ok {
			continue
		}
		message := problemOf(st, w)
		if message == "" {
			continue
		}
		wrong[id] = message
		if !slices.ContainsFunc(v.Workloads, func(x Workload) bool { return x.ID == id }) {
			v.Workloads = append(v.Workloads, untold(st, w))
		}
	}
	explain, outlook := v.Explain, v.brief.outlook
	v.brief.outlook = func(id string) string {
		if _, bad := wrong[id]; bad {
			return "wrong " + id
		}
		return outlook(id)
	}
	v.Explain = func(id string) (sched.Explanation, bool) {
		ex, ok := explain(id)
		message, bad := wrong[id]
		if !bad || ok && ex.Reason == sched.ReasonRunning {
			return ex, ok
		}
		ex.Workload, ex.Reason, ex.Message = id, ReasonInvalid, message
		return ex, true
	}
}

// problemOf says what keeps a workload's waiting pods from being placed.
func problemOf(st *state.State, w state.Workload) string {
	if w.Problem != nil {
		return w.Problem.Error()
	}
	for _, id := range w.Pods {
		if p, ok := st.Pod(id); ok && p.Problem != nil && p.Grant == nil {
			return p.Problem.Error()
		}
	}
	return ""
}

// untold is a workload that the engine was not told of.
func untold(st *state.State, w state.Workload) Workload {
	v := viewWorkload(w.Spec)
	v.Project = w.Project
	for _, id := range w.Pods {
		p, ok := st.Pod(id)
		if !ok {
			continue
		}
		_, name, _ := strings.Cut(id, "/")
		v.Pods = append(v.Pods, Pod{Name: name, Phase: string(p.Object.Status.Phase), Node: p.Object.Spec.NodeName})
	}
	v.Status = statusOf(&v, w.Spec.Suspended)
	return v
}
