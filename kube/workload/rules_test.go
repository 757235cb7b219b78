package workload

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// object reads a YAML object.
func object(t *testing.T, text string) (map[string]any, schema.GroupKind) {
	t.Helper()
	var obj map[string]any
	if err := yaml.Unmarshal([]byte(text), &obj); err != nil {
		t.Fatal(err)
	}
	normalise(obj)
	gvk := schema.FromAPIVersionAndKind(obj["apiVersion"].(string), obj["kind"].(string))
	return obj, gvk.GroupKind()
}

// normalise turns whole floats into integers, as Kubernetes' decoder does.
func normalise(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = normalise(x[k])
		}
	case []any:
		for i := range x {
			x[i] = normalise(x[i])
		}
	case float64:
		if x == float64(int64(x)) {
			return int64(x)
		}
	}
	return v
}

func names(pods []*corev1.Pod) string {
	var all []string
	for _, p := range pods {
		name := p.Name
		if g := p.Annotations[GroupAnnotation]; g != "" {
			name += "@" + g
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

const podTemplate = `{spec: {containers: [{name: main, image: train}]}}`

func TestBuiltinRulesReadObjects(t *testing.T) {
	for _, tt := range []struct {
		name, object string
		min          int
		suspended    bool
		priority     string
		pods         string
	}{{
		name:   "a Job runs all its parallel pods together",
		object: `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {parallelism: 3, template: TEMPLATE}}`,
		min:    3, pods: "j-0 j-1 j-2",
	}, {
		name:   "a Job without numbers is one pod",
		object: `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: TEMPLATE}}`,
		min:    1, pods: "j-0",
	}, {
		name: "a Job needs no more pods than are still to be completed",
		object: `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {succeeded: 3},
		  spec: {parallelism: 4, completions: 5, template: TEMPLATE}}`,
		min: 2, pods: "j-0 j-1",
	}, {
		name: "a Job with a work queue is not refilled once a pod succeeded",
		object: `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {succeeded: 1},
		  spec: {parallelism: 4, template: TEMPLATE}}`,
		min: 1, pods: "j-0",
	}, {
		name: "a Job that ended makes no pods",
		object: `{apiVersion: batch/v1, kind: Job, metadata: {name: j},
		  status: {conditions: [{type: Complete, status: "True"}]}, spec: {parallelism: 4, template: TEMPLATE}}`,
		min: 1, pods: "",
	}, {
		name: "a suspended Job",
		object: `{apiVersion: batch/v1, kind: Job, metadata: {name: j},
		  spec: {suspend: true, template: TEMPLATE}}`,
		min: 1, suspended: true, pods: "j-0",
	}, {
		name:   "the pods of a Deployment start one by one",
		object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, template: TEMPLATE}}`,
		min:    1, pods: "web-0 web-1",
	}, {
		name:   "so do those of a StatefulSet",
		object: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web}, spec: {template: TEMPLATE}}`,
		min:    1, pods: "web-0",
	}, {
		name:   "and those of a ReplicaSet",
		object: `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web}, spec: {replicas: 0}}`,
		min:    1, pods: "",
	}, {
		name:   "a PodGroup of scheduler-plugins",
		object: `{apiVersion: scheduling.x-k8s.io/v1alpha1, kind: PodGroup, metadata: {name: g}, spec: {minMember: 4}}`,
		min:    4,
	}, {
		name: "a PodGroup of Kubernetes",
		object: `{apiVersion: scheduling.k8s.io/v1alpha2, kind: PodGroup, metadata: {name: g},
		  spec: {schedulingPolicy: {gang: {minCount: 5}}, priorityClassName: high}}`,
		min: 5, priority: "high",
	}, {
		name: "a PodGroup of Kubernetes with a number as its priority",
		object: `{apiVersion: scheduling.k8s.io/v1alpha2, kind: PodGroup, metadata: {name: g},
		  spec: {schedulingPolicy: {basic: {}}, priorityClassName: high, priority: 7}}`,
		min: 1, priority: "7",
	}, {
		name: "a JobSet is one gang of all its Jobs' pods",
		object: `{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {name: js}, spec: {replicatedJobs: [
		  {name: driver, template: {spec: {template: TEMPLATE}}},
		  {name: workers, replicas: 2, template: {spec: {parallelism: 2, template: TEMPLATE}}}]}}`,
		min: 5, pods: "js-job-0-0 js-job-1-0 js-job-1-1 js-job-1-2 js-job-1-3",
	}, {
		name: "a JobSet that starts in order begins with its first Job",
		object: `{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {name: js}, spec: {
		  startupPolicy: {startupPolicyOrder: InOrder}, replicatedJobs: [
		  {name: driver, template: {spec: {template: TEMPLATE}}},
		  {name: workers, replicas: 2, template: {spec: {parallelism: 2, template: TEMPLATE}}}]}}`,
		min: 1, pods: "js-job-0-0 js-job-1-0 js-job-1-1 js-job-1-2 js-job-1-3",
	}, {
		name: "Jobs of a JobSet that succeeded are not needed any more",
		object: `{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {name: js}, spec: {replicatedJobs: [
		  {name: workers, replicas: 3, template: {spec: {parallelism: 2, template: TEMPLATE}}}]},
		  status: {replicatedJobsStatus: [{name: workers, succeeded: 2}]}}`,
		min: 2, pods: "js-0 js-1 js-2 js-3 js-4 js-5",
	}, {
		name: "each replica of a LeaderWorkerSet is a gang",
		object: `{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, metadata: {name: llm}, spec: {
		  replicas: 2, leaderWorkerTemplate: {size: 3, workerTemplate: TEMPLATE}}}`,
		min:  3,
		pods: "llm-0-leader-0@0 llm-0-worker-0@0 llm-0-worker-1@0 llm-1-leader-0@1 llm-1-worker-0@1 llm-1-worker-1@1",
	}, {
		name: "its workers are not waited for when they wait for their leader",
		object: `{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, metadata: {name: llm}, spec: {
		  replicas: 1, startupPolicy: LeaderReady, leaderWorkerTemplate: {size: 2, workerTemplate: TEMPLATE}}}`,
		min: 1, pods: "llm-0-leader-0@0 llm-0-worker-0@0",
	}} {
		t.Run(tt.name, func(t *testing.T) {
			obj, kind := object(t, strings.ReplaceAll(tt.object, "TEMPLATE", podTemplate))
			rule := Builtin().For(kind)
			if rule == nil {
				t.Fatalf("no rule for %s", kind)
			}
			facts, err := rule.Facts(obj)
			if err != nil {
				t.Fatal(err)
			}
			priority := facts.PriorityClass
			if facts.Priority != nil {
				priority = fmt.Sprint(*facts.Priority)
			}
			if facts.Min != tt.min || facts.Suspended != tt.suspended || priority != tt.priority {
				t.Errorf("facts: %+v priority %q", facts, priority)
			}
			pods, err := rule.Expand(obj)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(pods); got != tt.pods {
				t.Errorf("pods:\n got %s\nwant %s", got, tt.pods)
			}
		})
	}
}

func TestExpandedPodsBelongToTheirOwner(t *testing.T) {
	obj, kind := object(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: train, namespace: ml, uid: u1},
	  spec: {template: {metadata: {labels: {app: x}}, spec: {schedulerName: weir, containers: [{name: main}]}}}}`)
	pods, err := Builtin().For(kind).Expand(obj)
	if err != nil {
		t.Fatal(err)
	}
	pod := pods[0]
	ref, ok := ControllerOf(pod)
	if want := (Ref{"batch", "Job", "ml", "train"}); !ok || ref != want {
		t.Errorf("controller %v, want %v", ref, want)
	}
	if pod.Namespace != "ml" || pod.Labels["app"] != "x" || pod.Spec.SchedulerName != "weir" {
		t.Errorf("template not kept: %+v", pod)
	}
}

func TestAnyKindIsARule(t *testing.T) {
	rules, err := Parse([]byte(`
apiVersion: weir.dev/v1alpha1
kind: WorkloadRule
metadata: {name: raycluster}
spec:
  object: {apiVersion: ray.io/v1, kind: RayCluster}
  workloadKind: build
  preemptible: true
  priority: object.spec.?importance.orValue(10)
  pods:
  - name: head
    template: object.spec.headGroupSpec.template
  - name: worker
    count: object.spec.workerGroupSpecs.map(g, g.replicas)
    template: object.spec.workerGroupSpecs.map(g, g.template)
`))
	if err != nil {
		t.Fatal(err)
	}
	set := Builtin()
	set.Set(rules[0])
	obj, kind := object(t, strings.ReplaceAll(`{apiVersion: ray.io/v1, kind: RayCluster, metadata: {name: ray}, spec: {
	  headGroupSpec: {template: TEMPLATE},
	  workerGroupSpecs: [{replicas: 1, template: TEMPLATE}, {replicas: 2, template: TEMPLATE}]}}`,
		"TEMPLATE", podTemplate))
	facts, err := set.For(kind).Facts(obj)
	if err != nil || facts.Min != 4 || *facts.Priority != 10 {
		t.Errorf("facts %+v, %v", facts, err)
	}
	pods, err := set.For(kind).Expand(obj)
	if got, want := names(pods), "ray-head-0 ray-worker-0-0 ray-worker-1-0 ray-worker-1-1"; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if !set.Delete("raycluster") || set.For(kind) != nil || set.Delete("raycluster") {
		t.Error("the rule is still in force")
	}
}

func TestRulesOfPeopleGoBeforeBuiltinOnes(t *testing.T) {
	rule := func(name, min string) *Rule {
		rules, err := Parse([]byte(`{metadata: {name: ` + name + `}, spec: {
		  object: {apiVersion: batch/v1, kind: Job}, min: "` + min + `", pods: []}}`))
		if err != nil {
			t.Fatal(err)
		}
		return rules[0]
	}
	job := schema.GroupKind{Group: "batch", Kind: "Job"}
	set := Builtin()
	set.Set(rule("z", "26"))
	set.Set(rule("a", "1"))
	if got := set.For(job).Name; got != "a" {
		t.Errorf("rule %s is in force, want the first by name", got)
	}
	set.Delete("a")
	if got := set.For(job).Name; got != "z" {
		t.Errorf("rule %s is in force, want z", got)
	}
	if got := Builtin().For(job).Name; got != "job" {
		t.Errorf("another set has rule %s, want the built-in one", got)
	}
}

func TestErrorsNameRuleFieldAndExpression(t *testing.T) {
	for _, tt := range []struct{ spec, err string }{
		{`{object: {apiVersion: v1, kind: X}, min: "object.spec +"}`,
			`rule r: spec.min "object.spec +" is not valid CEL: Syntax error: mismatched input '<EOF>'`},
		{`{object: {apiVersion: v1, kind: X}, min: "'four'"}`,
			`rule r: spec.min "'four'" gives a value of type string; it has to give int`},
		{`{object: {apiVersion: v1, kind: X}, suspended: "obj.spec"}`,
			`rule r: spec.suspended "obj.spec" is not valid CEL: undeclared reference to 'obj'`},
		{`{object: {apiVersion: v1, kind: X}, pods: [{name: a, template: "7"}]}`,
			`rule r: spec.pods[0].template "7" gives a value of type int; it has to give map(string, dyn)`},
		{`{object: {apiVersion: v1, kind: X}, min: "object.?spec.?n"}`,
			`rule r: spec.min "object.?spec.?n" may give no value; end it with .orValue(…)`},
		{`{object: {apiVersion: v1}}`, `rule r: spec.object "v1" "" names no kind; write apiVersion and kind`},
		{`{object: {apiVersion: v1, kind: X}, workloadKind: batch}`,
			`rule r: spec.workloadKind "batch" is no kind of workload; write build, train or infer`},
		{`{object: {apiVersion: v1, kind: X}, mim: "1"}`, `unknown field "mim"`},
	} {
		_, err := Parse([]byte(`{metadata: {name: r}, spec: ` + tt.spec + `}`))
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s:\n got %v\nwant %s", tt.spec, err, tt.err)
		}
	}
	for _, tt := range []struct{ spec, err string }{
		{`{object: {apiVersion: v1, kind: X}, min: "object.spec.n"}`,
			`rule r: spec.min "object.spec.n" fails: no such key: spec`},
		{`{object: {apiVersion: v1, kind: X}, min: "object.metadata.name"}`,
			`rule r: spec.min "object.metadata.name" gives x; it has to give a whole number`},
		{`{object: {apiVersion: v1, kind: X}, priority: "4000000000"}`,
			`rule r: spec.priority "4000000000" gives 4000000000; it has to fit 32 bits`},
		{`{object: {apiVersion: v1, kind: X}, suspended: "object.metadata.name"}`,
			`rule r: spec.suspended "object.metadata.name" gives x; it has to give true or false`},
		{`{object: {apiVersion: v1, kind: X}, min:
		  "lists.range(3000).map(x, lists.range(3000).map(y, x * y).sum()).sum()"}`, `cost limit`},
		{`{object: {apiVersion: v1, kind: X}, min: "9223372036854775807"}`, `write at most 2147483647`},
	} {
		rules, err := Parse([]byte(`{metadata: {name: r}, spec: ` + tt.spec + `}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = rules[0].Facts(map[string]any{"metadata": map[string]any{"name": "x"}})
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s:\n got %v\nwant %s", tt.spec, err, tt.err)
		}
	}
}

func TestExpandRefusesWhatNoControllerWouldMake(t *testing.T) {
	for _, tt := range []struct{ spec, err string }{
		{`pods: [{name: a, count: "object.n", template: object}]`, `makes more than 100000 pods of one object`},
		{`groups: "object.n", pods: [{name: a, template: object}]`, `at most 100000 can be planned`},
		{`pods: [{name: a, count: "[1, 2]", template: object}]`, `gives 2 numbers for 1 templates`},
		{`pods: [{name: a, template: "object.n"}]`, `gives int; it has to give an object`},
		{`pods: [{name: a, template: "{'spec': {'containers': 5}}"}]`, `is no pod template`},
	} {
		rules, err := Parse([]byte(`{metadata: {name: r}, spec: {object: {apiVersion: v1, kind: X}, ` + tt.spec + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = rules[0].Expand(map[string]any{"n": int64(1_000_000)})
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s:\n got %v\nwant %s", tt.spec, err, tt.err)
		}
	}
}

func TestPodsNameWhatTheyBelongTo(t *testing.T) {
	group := "gang"
	for _, tt := range []struct {
		name string
		pod  corev1.Pod
		want Ref
	}{
		{"by nothing", corev1.Pod{}, Ref{}},
		{"by label",
			corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"scheduling.x-k8s.io/pod-group": "g"}}},
			Ref{"scheduling.x-k8s.io", "PodGroup", "", "g"}},
		{"by scheduling group",
			corev1.Pod{Spec: corev1.PodSpec{SchedulingGroup: &corev1.PodSchedulingGroup{PodGroupName: &group}}},
			Ref{"scheduling.k8s.io", "PodGroup", "", "gang"}},
	} {
		if got, _ := Builtin().Named(&tt.pod); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestGroups(t *testing.T) {
	lws := Builtin().For(schema.GroupKind{Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet"})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Labels: map[string]string{"leaderworkerset.sigs.k8s.io/group-index": "3"}}}
	if got, err := lws.GroupOf(pod); got != "3" || err != nil {
		t.Errorf("group %q, %v", got, err)
	}
	if _, err := lws.GroupOf(&corev1.Pod{}); err == nil {
		t.Error("a pod without its label has a group")
	}
}

func TestIDs(t *testing.T) {
	job := Ref{"batch", "Job", "ml", "train"}
	if got := job.ID(""); got != "ml/job/train" || Display(got) != "ml/train" {
		t.Errorf("%s, %s", got, Display(got))
	}
	if got := job.ID("4"); got != "ml/job/train/4" || Display(got) != "ml/train/4" {
		t.Errorf("%s, %s", got, Display(got))
	}
}

func TestKinds(t *testing.T) {
	var all []string
	for _, k := range Builtin().Kinds() {
		all = append(all, k.Kind)
	}
	want := "Deployment ReplicaSet StatefulSet Job JobSet LeaderWorkerSet PodGroup PodGroup"
	if got := strings.Join(all, " "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{metadata: {name: r}, spec: {object: {apiVersion: v1, kind: X}, min: "object.spec.n"}}`))
	f.Add([]byte("a: b\n---\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		rules, err := Parse(data)
		if err != nil {
			return
		}
		for _, r := range rules {
			_, _ = r.Facts(map[string]any{})
			_, _ = r.Expand(map[string]any{})
		}
	})
}
