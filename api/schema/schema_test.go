package schema

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// parse reads one object from YAML.
func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	obj.SetAPIVersion("weir.dev/v1alpha1")
	// Numbers as the API server's decoder gives them.
	raw, err := obj.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := obj.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return obj
}

// check returns what is wrong with the object, one a line.
func check(t testing.TB, text string) string {
	t.Helper()
	obj := parse(t, text)
	s, ok, err := For(obj.GroupVersionKind())
	if err != nil || !ok {
		t.Fatalf("schema of %s: ok=%v err=%v", obj.GroupVersionKind(), ok, err)
	}
	var lines []string
	for _, e := range s.Check(obj) {
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\n")
}

// department, project … write the smallest object of the kind around a spec.
func department(spec string) string { return object("Department", spec) }
func project(spec string) string    { return object("Project", spec) }
func pool(spec string) string       { return object("NodePool", spec) }
func rule(spec string) string       { return object("WorkloadRule", spec) }

func object(kind, spec string) string {
	return "kind: " + kind + "\nmetadata: {name: vision}\nspec: " + spec
}

// share writes a department with one entry of spec.pools.
func share(fields string) string { return department("{pools: [{name: a100, " + fields + "}]}") }

const lws = `{object: {apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet},
  min: object.spec.leaderWorkerTemplate.size,
  pods: [{name: worker, count: object.spec.leaderWorkerTemplate.size, template: object.spec.template}]}`

func TestAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"an empty department":           department("{}"),
		"no spec at all":                "kind: Project\nmetadata: {name: vision}",
		"whole GPUs as a number":        share("quota: {gpu: 8}"),
		"half a GPU":                    share(`quota: {gpu: "0.5"}`),
		"the smallest part of a GPU":    share(`quota: {gpu: "0.000001"}`),
		"trailing zeros":                share(`quota: {gpu: "2.5000000"}`),
		"GPUs with a suffix":            share(`quota: {gpu: 2500m}, limit: {gpu: 1k}`),
		"micro-GPUs":                    share(`quota: {gpu: 12345678u}`),
		"nano-GPUs that are micro-GPUs": share(`quota: {gpu: 5000n}`),
		"GPUs with an exponent":         share(`quota: {gpu: 1e3}`),
		"no GPUs":                       share("quota: {gpu: 0}"),
		"quota equal to limit": share(`quota: {gpu: 8, cpu: "64", memory: 1Ti}, limit: {gpu: ` +
			`"8", cpu: 64, memory: 1024Gi}`),
		"quota in other units":             share(`quota: {gpu: 999m}, limit: {gpu: 1}`),
		"weight 0":                         share("weight: 0"),
		"a negative priority":              share("priority: -5"),
		"a pool without a name":            department("{pools: [{quota: {gpu: 1}}]}"),
		"a parent":                         department("{parent: research}"),
		"two pools":                        department("{pools: [{name: a}, {name: b}]}"),
		"namespaces":                       project("{department: research, namespaces: [vision, vision-2]}"),
		"an order of pools":                project("{pools: [{name: a}, {name: b}], poolOrder: [b, a]}"),
		"the default pool in the order":    project("{poolOrder: [default]}"),
		"a node pool":                      pool("{nodeSelector: {gpu: a100}, placement: {gpu: fgd, cpu: spread}, pricePerGPUHour: \"2.5\"}"),
		"a dense pool":                     pool("{nodeSelector: {gpu: a100}, placement: {gpu: dense}}"),
		"a surplus run time":               pool("{nodeSelector: {gpu: a100}, surplusRuntime: 1h30m}"),
		"no surplus run time":              pool("{nodeSelector: {gpu: a100}, surplusRuntime: 0s}"),
		"a part of a second":               pool("{nodeSelector: {gpu: a100}, surplusRuntime: 500ms}"),
		"a surplus run time as it is told": pool("{nodeSelector: {gpu: a100}, surplusRuntime: 26h3m4.5s}"),
		"a surplus by share":               pool("{nodeSelector: {gpu: a100}, surplus: share}"),
		"a surplus by service":             pool("{nodeSelector: {gpu: a100}, surplus: service}"),
		"first in, first out":              project("{discipline: fifo}"),
		"the shortest first":               project("{discipline: shortest}"),
		"the least served first":           project("{discipline: service}"),
		"the default pool with no nodes":   "kind: NodePool\nmetadata: {name: default}\nspec: {placement: {gpu: spread}}",
		"a rule":                           rule(lws),
		"a rule for label groups":          rule("{object: {apiVersion: a/v1, kind: A}, nameLabel: example.com/group, min: '2'}"),
	} {
		t.Run(name, func(t *testing.T) {
			if got := check(t, text); got != "" {
				t.Errorf("refused:\n%s\n%s", got, text)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"negative GPUs": {share("quota: {gpu: -1}"),
			`spec.pools[0].quota.gpu: Invalid value: -1: write a number of GPUs from 0 to 1000000, such ` +
				`as 8 or "2.5"`},
		"negative GPUs as text": {share(`limit: {gpu: "-0.5"}`),
			`spec.pools[0].limit.gpu: Invalid value: "-0.5": write a number of GPUs from 0 to 1000000, ` +
				`such as 8 or "2.5"`},
		"no number": {share("quota: {gpu: many}"),
			`spec.pools[0].quota.gpu: Invalid value: "many": write a number of GPUs from 0 to 1000000, ` +
				`such as 8 or "2.5"`},
		"empty text": {share(`quota: {gpu: ""}`),
			`spec.pools[0].quota.gpu: Invalid value: "": write a number of GPUs from 0 to 1000000, such ` +
				`as 8 or "2.5"`},
		"more GPUs than there are": {share("quota: {gpu: 1000001}"),
			`spec.pools[0].quota.gpu: Invalid value: 1000001: write a number of GPUs from 0 to 1000000, ` +
				`such as 8 or "2.5"`},
		"an unquoted decimal": {share("quota: {gpu: 2.5}"),
			`spec.pools[0].quota.gpu: Invalid value: "number": spec.pools[0].quota.gpu in body must be ` +
				`of type integer,string: "number"`},
		"finer than a micro-GPU": {share(`quota: {gpu: "0.0000001"}`),
			`spec.pools[0].quota.gpu: Invalid value: "0.0000001": write at most six decimals, the ` +
				`smallest part of a GPU is 0.000001`},
		"finer than a micro-GPU in milli": {share(`quota: {gpu: "1.0001m"}`),
			`spec.pools[0].quota.gpu: Invalid value: "1.0001m": write at most six decimals, the smallest ` +
				`part of a GPU is 0.000001`},
		"finer than a micro-GPU in nano": {share(`quota: {gpu: 1500n}`),
			`spec.pools[0].quota.gpu: Invalid value: "1500n": write at most six decimals, the smallest ` +
				`part of a GPU is 0.000001`},
		"negative CPUs": {share("quota: {cpu: -1}"),
			`spec.pools[0].quota.cpu: Invalid value: -1: write a number of CPUs from 0 to 1000000000, ` +
				`such as 64 or "500m"`},
		"CPUs finer than a milli-CPU": {share(`quota: {cpu: 1500u}`),
			`spec.pools[0].quota.cpu: Invalid value: "1500u": write at most three decimals, the smallest ` +
				`part of a CPU is 0.001`},
		"negative memory": {share("limit: {memory: -1Gi}"),
			`spec.pools[0].limit.memory: Invalid value: "-1Gi": write a number of bytes from 0 to 256Pi, ` +
				`such as "512Gi"`},
		"half a byte": {share(`limit: {memory: "1.5"}`),
			`spec.pools[0].limit.memory: Invalid value: "1.5": write a whole number of bytes, such as "512Gi"`},
		"a quota of GPUs above the limit": {share("quota: {gpu: 8}, limit: {gpu: 4}"),
			`spec.pools[0].quota.gpu: Invalid value: quota.gpu is 8, above limit.gpu: write at most 4, ` +
				`or raise or omit limit.gpu`},
		"a quota of CPUs above the limit": {share("quota: {cpu: 8}, limit: {cpu: 7999m}"),
			`spec.pools[0].quota.cpu: Invalid value: quota.cpu is 8, above limit.cpu: write at most ` +
				`7999m, or raise or omit limit.cpu`},
		"a quota of memory above the limit": {share("quota: {memory: 1Ti}, limit: {memory: 1T}"),
			`spec.pools[0].quota.memory: Invalid value: quota.memory is 1Ti, above limit.memory: write ` +
				`at most 1T, or raise or omit limit.memory`},
		"a negative weight": {share("weight: -1"),
			`spec.pools[0].weight: Invalid value: -1: write a whole number from 0 to 1000000`},
		"a huge weight": {share("weight: 1000001"),
			`spec.pools[0].weight: Invalid value: 1000001: write a whole number from 0 to 1000000`},
		"a pool named twice": {department("{pools: [{name: a}, {name: b}, {name: a}]}"),
			`spec.pools[2]: Duplicate value: {"name":"a"}`},
		"a pool named twice by its default": {department("{pools: [{}, {name: default}]}"),
			`spec.pools[1]: Duplicate value: {"name":"default"}`},
		"a department in itself": {department("{parent: vision}"),
			`spec.parent: Invalid value: spec.parent is vision, the department itself: ` +
				`name another department, or omit it for a top-level one`},
		"an empty namespace": {project(`{namespaces: [""]}`),
			`spec.namespaces[0]: Invalid value: "": ` +
				`write the name of a namespace, of lower-case letters, digits and dashes`},
		"a namespace that cannot be": {project("{namespaces: [vision, My_Space]}"),
			`spec.namespaces[1]: Invalid value: "My_Space": ` +
				`write the name of a namespace, of lower-case letters, digits and dashes`},
		"a namespace twice": {project("{namespaces: [vision, vision]}"),
			`spec.namespaces[1]: Duplicate value: "vision"`},
		"an order with an unknown pool": {project("{pools: [{name: a}], poolOrder: [a, b]}"),
			`spec.poolOrder: Invalid value: poolOrder is a, b: ` +
				`name only node pools that stand in pools, or default where pools is omitted`},
		"an order without pools": {project("{poolOrder: [b]}"),
			`spec.poolOrder: Invalid value: poolOrder is b: ` +
				`name only node pools that stand in pools, or default where pools is omitted`},
		"a node pool that takes every node": {pool("{}"),
			`spec: Invalid value: spec.nodeSelector is empty, which would take every node: name at least one label`},
		"a default pool with a selector": {"kind: NodePool\nmetadata: {name: default}\nspec: {nodeSelector: {a: b}}",
			`spec.nodeSelector: Invalid value: spec.nodeSelector is set on the pool default, which takes the nodes ` +
				`that no other pool selects: omit it, or give the pool another name`},
		"an unknown placement": {pool("{nodeSelector: {a: b}, placement: {gpu: best}}"),
			`spec.placement.gpu: Unsupported value: "best": supported values: "pack", "spread", "fgd", "dense"`},
		"a placement to compare with": {pool("{nodeSelector: {a: b}, placement: {gpu: bestfit}}"),
			`spec.placement.gpu: Unsupported value: "bestfit": supported values: "pack", "spread", "fgd", "dense"`},
		"fgd without GPUs": {pool("{nodeSelector: {a: b}, placement: {cpu: fgd}}"),
			`spec.placement.cpu: Unsupported value: "fgd": supported values: "pack", "spread"`},
		"an unknown surplus": {pool("{nodeSelector: {a: b}, surplus: lottery}"),
			`spec.surplus: Unsupported value: "lottery": supported values: "share", "service"`},
		"an unknown discipline": {project("{discipline: lifo}"),
			`spec.discipline: Unsupported value: "lifo": supported values: "fifo", "shortest", "service"`},
		"a negative surplus run time": {pool("{nodeSelector: {a: b}, surplusRuntime: -5m}"),
			`spec.surplusRuntime: Invalid value: "-5m": write hours, minutes and seconds such as "5m" or "1h30m", ` +
				`or "0s" for none`},
		"a surplus run time without a unit": {pool("{nodeSelector: {a: b}, surplusRuntime: \"5\"}"),
			`spec.surplusRuntime: Invalid value: "5": write hours, minutes and seconds such as "5m" or "1h30m", ` +
				`or "0s" for none`},
		"a surplus run time of nothing": {pool("{nodeSelector: {a: b}, surplusRuntime: \"\"}"),
			`spec.surplusRuntime: Invalid value: "": write hours, minutes and seconds such as "5m" or "1h30m", ` +
				`or "0s" for none`},
		"a surplus run time in days": {pool("{nodeSelector: {a: b}, surplusRuntime: 1d}"),
			`spec.surplusRuntime: Invalid value: "1d": write hours, minutes and seconds such as "5m" or "1h30m", ` +
				`or "0s" for none`},
		"a negative price": {pool("{nodeSelector: {a: b}, pricePerGPUHour: -1}"),
			`spec.pricePerGPUHour: Invalid value: -1: write a number from 0, such as "2.5"`},
		"a misspelt field": {share("quotta: {gpu: 8}"),
			`spec.pools[0].quotta: Forbidden: Department has no such field; check its spelling and indentation`},
		"pools that are no list": {department("{pools: {name: a}}"),
			`spec.pools.name: Forbidden: Department has no such field; check its spelling and indentation` + "\n" +
				`spec.pools: Invalid value: "object": spec.pools in body must be of type array: "object"`},
		"a rule without pods": {rule("{object: {apiVersion: a/v1, kind: A}}"),
			`spec.pods: Invalid value: spec.pods is empty: say where the object's pod templates are, or set spec.nameLabel ` +
				`if pods name their object by a label`},
		"a rule with an empty list of pods": {rule("{object: {apiVersion: a/v1, kind: A}, pods: []}"),
			`spec.pods: Invalid value: spec.pods is empty: say where the object's pod templates are, or set spec.nameLabel ` +
				`if pods name their object by a label`},
		"a rule that counts gangs of no pods": {rule("{object: {apiVersion: a/v1, kind: A}, nameLabel: a, groups: '2'}"),
			`spec.groups: Invalid value: spec.groups counts gangs of spec.pods, which is empty: omit it, or write spec.pods`},
		"a rule for a plural": {rule("{object: {apiVersion: batch, kind: jobs}, pods: [{name: a, template: object.spec.template}]}"),
			`spec.object.apiVersion: Invalid value: "batch": write group/version, such as batch/v1` + "\n" +
				`spec.object.kind: Invalid value: "jobs": write it as it stands in the object, such as Job`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := check(t, c.text); got != c.want {
				t.Errorf("got\n  %s\nwant\n  %s", got, c.want)
			}
		})
	}
}

func TestComplete(t *testing.T) {
	obj := parse(t, department("{pools: [{quota: {gpu: 1}}]}"))
	s, _, err := For(obj.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	s.Complete(obj)
	got, _ := yaml.Marshal(obj.Object["spec"])
	want := "pools:\n- name: default\n  priority: 0\n  quota:\n    gpu: 1\n  weight: 1\n"
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCheckLeavesTheObjectAlone(t *testing.T) {
	obj := parse(t, department("{pools: [{quotta: {}}]}"))
	before := obj.DeepCopy()
	s, _, err := For(obj.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Check(obj)) == 0 {
		t.Error("a misspelt field was taken")
	}
	if !reflect.DeepEqual(obj, before) {
		t.Errorf("changed to %v", obj)
	}
}
