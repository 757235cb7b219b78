package live_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/plan"
)

// TestClustersAgreeWithTheirPlans plans with what a cluster holds, as `kubectl
// get -o json | weir plan -` does, and then lets a scheduler work there.
func TestClustersAgreeWithTheirPlans(t *testing.T) {
	for _, tt := range []struct {
		name    string
		nodes   []simnode.Spec
		quotas  map[string]string
		running func(*world) []*corev1.Pod
		waiting func(*world) []*corev1.Pod
		job     *batchv1.Job
		starts  int // at least
		evicts  int
		waits   int
	}{
		{
			name: "whole GPUs on count nodes", nodes: nodes(3, 4, true), quotas: map[string]string{"ml": "12"},
			waiting: func(*world) []*corev1.Pod {
				return []*corev1.Pod{pod("ml", "a", 3), pod("ml", "b", 2), pod("ml", "c", 1), pod("ml", "d", 4)}
			},
			starts: 4,
		},
		{
			name: "fractions", nodes: nodes(2, 2, false), quotas: map[string]string{"ml": "4"},
			waiting: func(w *world) []*corev1.Pod {
				var pods []*corev1.Pod
				for i, part := range []string{"0.5", "0.5", "0.75", "0.25", "0.3"} {
					pods = append(pods, w.share(pod("ml", fmt.Sprintf("p%d", i), 0, ask.GPUFraction+"="+part)))
				}
				return append(pods, pod("ml", "whole", 1))
			},
			starts: 6,
		},
		{
			name: "a gang", nodes: nodes(2, 4, true), quotas: map[string]string{"ml": "8"},
			job: gangJob(3, 2), starts: 3,
		},
		{
			name: "over quota", nodes: nodes(1, 4, true), quotas: map[string]string{"ml": "2"},
			waiting: func(*world) []*corev1.Pod { return []*corev1.Pod{pod("ml", "fits", 2), pod("ml", "more", 1)} },
			starts:  1, waits: 1,
		},
		{
			name: "reclaim", nodes: nodes(1, 4, true), quotas: map[string]string{"borrower": "0", "owner": "4"},
			running: func(*world) []*corev1.Pod {
				var pods []*corev1.Pod
				for i := range 4 {
					pods = append(pods, pod("borrower", fmt.Sprintf("b%d", i), 1, ask.Preemptible+"=true"))
				}
				return pods
			},
			waiting: func(*world) []*corev1.Pod { return []*corev1.Pod{pod("owner", "o", 3)} },
			starts:  1, evicts: 3,
		},
		{
			name: "reclaim of fractions", nodes: nodes(1, 2, false), quotas: map[string]string{"borrower": "0", "owner": "2"},
			running: func(w *world) []*corev1.Pod {
				var pods []*corev1.Pod
				for i := range 4 {
					pods = append(pods, w.share(pod("borrower", fmt.Sprintf("b%d", i), 0,
						ask.GPUFraction+"=0.5", ask.Preemptible+"=true")))
				}
				return pods
			},
			waiting: func(w *world) []*corev1.Pod {
				return []*corev1.Pod{w.share(pod("owner", "o", 0, ask.GPUFraction+"=0.5"))}
			},
			starts: 1, evicts: 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.nodes...)
			for name, gpus := range tt.quotas {
				w.project(name, gpus)
			}
			var before []*corev1.Pod
			if tt.running != nil {
				before = tt.running(w)
				_, stop := w.scheduler()
				w.submit(before...)
				for _, p := range before {
					w.bound(p.Namespace + "/" + p.Name)
				}
				stop()
			}
			if tt.waiting != nil {
				w.submit(tt.waiting(w)...)
			}
			if tt.job != nil {
				w.submitJob(tt.job)
			}
			planned := w.plan()
			w.scheduler()
			starts, evicts := w.follow(planned)
			if starts < tt.starts || evicts != tt.evicts || len(planned.Waiting) != tt.waits {
				t.Errorf("the plan is another than the test is about: %+v", planned)
			}
			if left := w.left(before); left != len(before)-tt.evicts {
				t.Errorf("%d of %d pods were left alone, planned was to stop %d", left, len(before), tt.evicts)
			}
			w.noOverGrant()
		})
	}
}

// follow expects that all that was planned comes about.
func (w *world) follow(planned *plan.Result) (starts, evicts int) {
	w.Helper()
	for _, d := range planned.Decisions {
		switch d.Action {
		case "start":
			starts++
			if node := w.bound(d.Pod); node != d.Node {
				w.Errorf("%s is bound to %s, planned was %s", d.Pod, node, d.Node)
			}
		case "evict":
			evicts++
			w.gone(d.Pod)
		}
	}
	for _, x := range planned.Waiting {
		w.waits(x.Workload, x.Reason)
	}
	return starts, evicts
}

// left counts the pods that were not stopped.
func (w *world) left(pods []*corev1.Pod) (n int) {
	w.Helper()
	for _, p := range pods {
		if w.exists(p.Namespace + "/" + p.Name) {
			n++
		}
	}
	return n
}

// plan plans with everything that the cluster holds.
func (w *world) plan() *plan.Result {
	w.Helper()
	var all bytes.Buffer
	for _, path := range []string{
		"/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods", "/apis/batch/v1/jobs",
		"/apis/resource.k8s.io/v1/resourceslices", "/apis/resource.k8s.io/v1/resourceclaims",
		"/apis/resource.k8s.io/v1/resourceclaimtemplates", "/apis/weir.dev/v1alpha1/projects",
	} {
		list, err := w.weir.Get().AbsPath(path).Do(w.Context()).Raw()
		if err != nil {
			w.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n---\n", strings.TrimSpace(string(list)))
	}
	in, err := plan.Read([]string{plan.Stdin}, &all)
	if err != nil {
		w.Fatal(err)
	}
	result, err := in.Run(time.Now())
	if err != nil {
		w.Fatal(err)
	}
	return result
}

func gangJob(pods int32, gpus int) *batchv1.Job {
	p := pod("ml", "", gpus)
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "gang"},
		Spec: batchv1.JobSpec{Parallelism: &pods, Completions: ptr.To(pods), Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Annotations: p.Annotations}, Spec: p.Spec,
		}},
	}
}

// submitJob makes a Job and waits until its pods are made.
func (w *world) submitJob(job *batchv1.Job) {
	w.Helper()
	jobs := w.kube.BatchV1().Jobs(job.Namespace)
	must(jobs.Create(w.Context(), job, metav1.CreateOptions{}))
	w.eventually("the Job's pods are made", func() error {
		list, err := w.kube.CoreV1().Pods(job.Namespace).List(w.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) < int(*job.Spec.Parallelism) {
			err = fmt.Errorf("%d pods", len(list.Items))
		}
		return err
	})
	// Else it makes its pods anew when they are cleared away.
	w.Cleanup(func() {
		_ = jobs.Delete(context.Background(), job.Name,
			metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)})
	})
}
