package tree

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/api/v1alpha1"
	_ "github.com/weir-gpu/weir/test/seed"
)

// organisation is departments and projects by name, each a spec in YAML.
type organisation struct {
	Departments []v1alpha1.Department
	Projects    []v1alpha1.Project
}

// parse reads lines such as "department research {parent: company}".
func parse(t testing.TB, text string) (o organisation) {
	t.Helper()
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) < 2 {
			continue
		}
		spec := "{}"
		if len(words) == 3 {
			spec = words[2]
		}
		var err error
		switch words[0] {
		case "department":
			d := v1alpha1.Department{}
			d.Name = words[1]
			err = yaml.UnmarshalStrict([]byte(spec), &d.Spec)
			o.Departments = append(o.Departments, d)
		case "project":
			p := v1alpha1.Project{}
			p.Name = words[1]
			err = yaml.UnmarshalStrict([]byte(spec), &p.Spec)
			o.Projects = append(o.Projects, p)
		default:
			t.Fatalf("what is %q?", line)
		}
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	return o
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct{ org, want string }{
		"nothing": {"", ""},
		"a tree that adds up": {`
			department company {pools: [{quota: {gpu: 10, cpu: 100}}]}
			department research {parent: company, pools: [{quota: {gpu: "2.5"}}]}
			project vision {department: research, pools: [{quota: {gpu: "1.5", cpu: 1000}}]}
			project speech {department: research, pools: [{quota: {gpu: 1}}]}
			project alone {pools: [{quota: {gpu: 99}}]}`, ""},
		"the same name for both kinds": {`
			department vision
			project vision {department: vision}`, ""},
		"a department that is not there": {`
			department research {parent: company}
			project vision {department: reserch}
			project speech {department: research}`,
			`department research: spec.parent is company, which does not exist: create the department company first, or omit spec.parent
			project vision: spec.department is reserch, which does not exist: name one of research, create the department reserch first, or omit spec.department`},
		"a department in itself": {
			`department a {parent: a}`,
			`department a: spec.parent is a, which makes the circle a → a: name a department outside it, or omit it`},
		"a circle, and a department that hangs on it": {`
			department c {parent: a}
			department b {parent: c}
			department a {parent: b}
			department aa {parent: b}`,
			`department a: spec.parent is b, which makes the circle a → b → c → a: name a department ` +
				`outside it, or omit it`},
		"two of a name": {`
			department a {pools: [{quota: {gpu: 4}}]}
			department a
			project p {department: a, pools: [{quota: {gpu: 4}}]}
			project p {department: nowhere}`,
			`department a: metadata.name is a, which another department has: give each department a name of its own
			project p: metadata.name is p, which another project has: give each project a name of its own`},
		"a namespace of two projects": {`
			project b {namespaces: [shared, b]}
			project a {namespaces: [a, shared]}`,
			`project b: spec.namespaces[0] is shared, which belongs to project a: name another ` +
				`namespace, or take it out of project a first`},
		"a namespace that a project has by its name": {`
			project vision
			project speech {namespaces: [vision]}`,
			`project vision: spec.namespaces is omitted, which stands for vision, which belongs to project speech: ` +
				`name another namespace, or take it out of project speech first`},
		"more guaranteed than there is": {`
			department research {pools: [{name: t4}, {name: a100, quota: {gpu: 4}}]}
			department labs {parent: research, pools: [{name: a100, quota: {gpu: "0.5"}}]}
			project vision {department: research, pools: [{name: a100, quota: {gpu: 2}}]}
			project speech {department: research, pools: [{name: a100, quota: {gpu: "2.000001"}}]}`,
			`department research: spec.pools[1].quota.gpu is 4, below the 4.500001 that its members are ` +
				`guaranteed in node pool a100, ` +
				`department labs (0.5), project speech (2.000001), project vision (2): write at least ` +
				`4.500001, or lower their quotas`},
		"a quota in a pool of which the department has none": {`
			department research {pools: [{name: a100, quota: {gpu: 4}}]}
			project vision {department: research, pools: [{name: t4, quota: {gpu: 1, cpu: 8}}]}`,
			`department research: spec.pools[name=t4].quota.gpu is 0, below the 1 that its members are ` +
				`guaranteed in node pool t4, ` +
				`project vision (1): write at least 1, or lower their quotas`},
		"CPU and memory above the parent's": {`
			department research {pools: [{quota: {cpu: 8}, limit: {memory: 1Gi}}]}
			project vision {department: research, pools: [{quota: {cpu: "8.5", memory: 2Gi}}]}`,
			`department research: spec.pools[0].limit.memory is 1Gi, below the 2Gi that its members are ` +
				`guaranteed in node pool default, ` +
				`project vision (2Gi): write at least 2Gi, or lower their quotas
			department research: spec.pools[0].quota.cpu is 8, below the 8.5 that its members are guaranteed in node pool default, ` +
				`project vision (8.5): write at least 8.5, or lower their quotas`},
		"an object that contradicts itself": {`
			department research {pools: [{weight: -1}]}
			project speech {department: research, pools: [{quota: {gpu: 1}}]}
			project vision {department: research, pools: [{quota: {gpu: -1}}]}`,
			`department research: spec.pools[0].weight is -1: write a whole number from 0 to 1000000
			project vision: spec.pools[0].quota.gpu is -1: write a number of GPUs from 0 to 1000000, such as 8 or "2.5"`},
	} {
		t.Run(name, func(t *testing.T) {
			org := parse(t, c.org)
			got := text(Check(org.Departments, org.Projects))
			if want := strings.ReplaceAll(c.want, "\t", ""); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func text(problems []Problem) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// A change is judged by what it adds.
func TestAdded(t *testing.T) {
	const old = "project lost {department: nowhere}\n"
	before := parse(t, old)
	after := parse(t, old+"department a {parent: a}")
	added := Added(Check(before.Departments, before.Projects), Check(after.Departments, after.Projects))
	if len(added) != 1 || added[0].Rule != Cycle || added[0].Object != "department a" {
		t.Errorf("added %v", added)
	}
}

// Every circle is told exactly once, and nothing else is told of a tree
// without quotas; the order of the objects does not matter.
func TestEveryCircleIsToldOnce(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	rapid.Check(t, func(t *rapid.T) {
		departments := make([]v1alpha1.Department, len(names))
		parent := map[string]string{}
		for i, name := range names {
			departments[i].Name = name
			departments[i].Spec.Parent = rapid.SampledFrom(append([]string{""}, names...)).Draw(t, name)
			parent[name] = departments[i].Spec.Parent
		}
		want := map[string]bool{}
		for _, name := range names { // the first by name of the circle that name ends in
			at := name
			for range names {
				at = parent[at]
			}
			first := at
			for next := parent[at]; at != "" && next != at; next = parent[next] {
				first = min(first, next)
			}
			if at != "" {
				want["department "+first] = true
			}
		}
		problems := Check(departments, nil)
		got := map[string]bool{}
		for _, p := range problems {
			got[p.Object] = p.Rule == Cycle
		}
		if len(problems) != len(want) || !reflect.DeepEqual(got, want) {
			t.Fatalf("told %v, want %v", problems, want)
		}
		rand.Shuffle(len(departments), func(i, j int) {
			departments[i], departments[j] = departments[j], departments[i]
		})
		if again := Check(departments, nil); !reflect.DeepEqual(again, problems) {
			t.Fatalf("in another order: %v", again)
		}
	})
}
