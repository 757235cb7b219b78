package snapshot

import "strings"

// Ref is how people name a workload. Empty parts match anything.
type Ref struct {
	Namespace string
	Object    string // kind, lower case
	Name      string
}

// kinds are the first parts by which "kind/name" is told from
// "namespace/name".
var kinds = map[string]string{
	"po": "pod", "pod": "pod", "pods": "pod",
	"job": "job", "jobs": "job",
	"cronjob": "cronjob", "cronjobs": "cronjob", "cj": "cronjob",
	"deploy": "deployment", "deployment": "deployment", "deployments": "deployment",
	"sts": "statefulset", "statefulset": "statefulset", "statefulsets": "statefulset",
	"rs": "replicaset", "replicaset": "replicaset", "replicasets": "replicaset",
	"jobset": "jobset", "jobsets": "jobset",
	"podgroup": "podgroup", "podgroups": "podgroup",
	"lws": "leaderworkerset", "leaderworkerset": "leaderworkerset", "leaderworkersets": "leaderworkerset",
}

// ParseRef reads "name", "kind/name", "namespace/name" or
// "namespace/kind/name"; namespace is meant where ref names none.
func ParseRef(namespace, ref string) Ref {
	parts := strings.Split(ref, "/")
	switch len(parts) {
	case 1:
		return Ref{Namespace: namespace, Name: ref}
	case 2:
		if kind, ok := kinds[strings.ToLower(parts[0])]; ok {
			return Ref{Namespace: namespace, Object: kind, Name: parts[1]}
		}
		return Ref{Namespace: parts[0], Name: parts[1]}
	}
	kind := strings.ToLower(parts[1])
	if k, ok := kinds[kind]; ok {
		kind = k
	}
	return Ref{Namespace: parts[0], Object: kind, Name: strings.Join(parts[2:], "/")}
}

// Matches reports whether r names w. The name of an object that is several
// gangs ("name/group") names all of them.
func (r Ref) Matches(w Workload) bool {
	return (r.Namespace == "" || r.Namespace == w.Namespace) &&
		(r.Object == "" || r.Object == w.Object) &&
		(r.Name == w.Name || strings.HasPrefix(w.Name, r.Name+"/"))
}

// MatchesPod reports whether r names a pod of w.
func (r Ref) MatchesPod(w Workload) bool {
	if r.Namespace != "" && r.Namespace != w.Namespace || r.Object != "" && r.Object != "pod" {
		return false
	}
	for _, p := range w.Pods {
		if p.Name == r.Name {
			return true
		}
	}
	return false
}

// String is the shortest text that names the same within its namespace.
func (r Ref) String() string {
	if r.Object == "" {
		return r.Name
	}
	return r.Object + "/" + r.Name
}

// splitID splits a workload's ID "namespace/kind/name".
func splitID(id string) Ref {
	parts := strings.SplitN(id, "/", 3)
	if len(parts) < 3 {
		namespace, name, _ := strings.Cut(id, "/")
		return Ref{Namespace: namespace, Name: name}
	}
	return Ref{Namespace: parts[0], Object: parts[1], Name: parts[2]}
}
