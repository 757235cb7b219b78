package admit

import (
	"cmp"
	"context"
	"fmt"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// judgeMaker answers for objects that make pods, so that who writes a Job is
// told at once and not by pods that never come.
func (h *handler) judgeMaker(ctx context.Context, r *admissionv1.AdmissionRequest) verdict {
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(r.Object.Raw); err != nil {
		return verdict{err: fmt.Errorf("the object in the request cannot be read (%w); send it as the API server does", err)}
	}
	if metav1.GetControllerOfNoCopy(obj) != nil || obj.GetDeletionTimestamp() != nil {
		return verdict{} // its maker was looked at, or it goes
	}
	gk := schema.GroupKind{Group: r.Kind.Group, Kind: r.Kind.Kind}
	if gk.Group == "batch" && gk.Kind == "CronJob" {
		gk.Kind = "Job"
	}
	rule := h.cfg.Rule(gk)
	if rule == nil {
		return verdict{}
	}
	v := h.verdictOn(ctx, obj, rule, r)
	if v.err == nil || r.Operation != admissionv1.Update {
		return v
	}
	if old := h.onOld(ctx, r, rule); old.err != nil && old.err.Error() == v.err.Error() {
		return verdict{warnings: append(v.warnings, v.err.Error())} // not of this change's making
	}
	return v
}

// verdictOn answers for one state of the object that a request is about.
func (h *handler) verdictOn(ctx context.Context, obj *unstructured.Unstructured, rule *workload.Rule,
	r *admissionv1.AdmissionRequest,
) verdict {
	if r.Kind.Kind == "CronJob" {
		obj = jobOf(obj)
	}
	if obj.GetNamespace() == "" {
		obj.SetNamespace(r.Namespace)
	}
	slips, err := h.checkMaker(ctx, obj, rule)
	if err != nil {
		err = fmt.Errorf("%s %s/%s: %s", r.Kind.Kind, obj.GetNamespace(), cmp.Or(obj.GetName(), obj.GetGenerateName()),
			sentence(err))
	}
	return verdict{err: err, warnings: slips}
}

// onOld answers for the object as it is before an update.
func (h *handler) onOld(ctx context.Context, r *admissionv1.AdmissionRequest, rule *workload.Rule) verdict {
	old := &unstructured.Unstructured{}
	if err := old.UnmarshalJSON(r.OldObject.Raw); err != nil {
		return verdict{}
	}
	return h.verdictOn(ctx, old, rule, r)
}

// jobOf returns the Job that a CronJob makes.
func jobOf(cron *unstructured.Unstructured) *unstructured.Unstructured {
	template, _, err := unstructured.NestedMap(cron.Object, "spec", "jobTemplate")
	if err != nil || template == nil {
		template = map[string]any{}
	}
	job := &unstructured.Unstructured{Object: template}
	job.SetName(cron.GetName())
	job.SetNamespace(cron.GetNamespace())
	return job
}

// checkMaker examines the pods that an object makes.
func (h *handler) checkMaker(ctx context.Context, obj *unstructured.Unstructured, rule *workload.Rule,
) ([]string, error) {
	words, err := ask.ReadWords(obj)
	if err != nil {
		return nil, err
	}
	pods, err := rule.Expand(obj.Object)
	if err != nil {
		if words.Project == "" && h.cfg.ProjectOf(obj.GetNamespace()) == "" {
			err = nil // whatever it is, it is not Weir's
		}
		return nil, err
	}
	slips := warnings(obj)
	if len(pods) == 0 {
		return slips, nil
	}
	if err := h.misplaced(obj, pods[0]); err != nil {
		return slips, err
	}
	g, err := h.gang(ctx, obj, pods)
	if err != nil || !g.ours {
		return slips, err
	}
	facts, err := rule.Facts(obj.Object)
	if err != nil {
		return slips, err
	}
	if g.low > g.pods() {
		slips = append(slips, fmt.Sprintf("%s %d is more than the %d pods that start together now; none will start",
			ask.MinPods, g.low, g.pods()))
	}
	return slips, h.gangTooLarge(g.crews, cmp.Or(g.low, facts.Min))
}

// misplaced refuses words that count on pods only and stand on their maker.
func (h *handler) misplaced(obj metav1.Object, pod *corev1.Pod) error {
	if !eligible(bare(pod)) {
		return nil
	}
	if w := ask.ShareWord(obj); w != "" && ask.ShareWord(pod) == "" {
		return fmt.Errorf("%s stands on the object, which asks for no GPU itself; "+
			"write it in the metadata of the pod template", w)
	}
	_, annotated := obj.GetAnnotations()[ask.Project]
	_, labelled := obj.GetLabels()[ask.Project]
	if !annotated && !labelled || h.cfg.ProjectOf(obj.GetNamespace()) != "" {
		return nil
	}
	if pod.Annotations[ask.Project] == "" && pod.Labels[ask.Project] == "" {
		return fmt.Errorf("%s stands on the object only and namespace %q belongs to no project; "+
			"write it in the metadata of the pod template too, or name the namespace in spec.namespaces of the Project",
			ask.Project, obj.GetNamespace())
	}
	return nil
}

// gang is what an object makes at once.
type gang struct {
	ours  bool // Weir places some of it
	crews []crew
	low   int // pods that words say have to start together; 0: they say nothing
}

// crew is some equal pods of a gang.
type crew struct {
	pods int
	ask  sched.Ask
}

func (g gang) pods() int {
	n := 0
	for _, c := range g.crews {
		n += c.pods
	}
	return n
}

// gang examines the pods that an object makes, those of its first gang where
// it makes several.
func (h *handler) gang(ctx context.Context, obj metav1.Object, pods []*corev1.Pod) (gang, error) {
	var g gang
	var last *corev1.Pod
	for _, pod := range pods {
		if pod.Annotations[workload.GroupAnnotation] != pods[0].Annotations[workload.GroupAnnotation] {
			break
		}
		if last != nil && alike(pod, last) {
			g.crews[len(g.crews)-1].pods++
			continue
		}
		f, err := h.examine(ctx, bare(pod), obj)
		if err != nil {
			return gang{}, err
		}
		if err := h.tooLarge(f); err != nil {
			return gang{}, err
		}
		last = pod
		g.ours = g.ours || f.ours
		g.crews = append(g.crews, crew{1, f.ask})
		if f.words.MinPods != nil {
			g.low = *f.words.MinPods
		}
	}
	return g, nil
}

// bare returns the pod without the owner it was made up with.
func bare(pod *corev1.Pod) *corev1.Pod {
	p := *pod
	p.OwnerReferences = nil
	return &p
}

// alike reports whether two pods of one object are of one template.
func alike(a, b *corev1.Pod) bool {
	return reflect.DeepEqual(a.Spec, b.Spec) && reflect.DeepEqual(a.Annotations, b.Annotations) &&
		reflect.DeepEqual(a.Labels, b.Labels)
}
