package admit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

// finding is what there is to say about a pod.
type finding struct {
	ours  bool // Weir is to place it
	words ask.Words
	ask   sched.Ask // the zero Ask where it cannot be known yet
}

// examine reads a pod, or a template of pods of the given makers, and checks
// all that does not depend on the size of the cluster.
func (h *handler) examine(ctx context.Context, pod *corev1.Pod, makers ...metav1.Object) (finding, error) {
	if !eligible(pod) {
		return finding{}, nil
	}
	words, err := ask.ReadWords(append(makers, pod)...)
	if err != nil {
		return finding{}, err
	}
	share := ask.ShareWord(pod)
	project := cmp.Or(words.Project, h.cfg.ProjectOf(pod.Namespace))
	if project == "" && wantsWeir(pod, share) {
		project = h.ownProject(ctx, pod.Namespace)
	}
	if project == "" {
		return finding{}, h.noProject(pod, share)
	}
	if err := h.known(ctx, project, words, pod.Namespace); err != nil {
		return finding{}, err
	}
	a, err := ask.FromPod(pod, h.cfg.Claims)
	switch {
	case errors.Is(err, ask.ErrMissing):
		return finding{ours: true, words: words}, nil // it waits until what it names exists
	case errors.Is(err, ask.ErrForeign) && pod.Spec.SchedulerName != ask.SchedulerName && share == "":
		return finding{}, nil // another scheduler knows how to grant it
	case err != nil:
		return finding{}, err
	}
	if _, err := ask.Container(pod); err != nil {
		return finding{}, err
	}
	return finding{ours: true, words: words, ask: a}, nil
}

// eligible reports whether Weir may place the pod at all: nobody else was
// asked to, and it has no place yet.
func eligible(pod *corev1.Pod) bool {
	switch pod.Spec.SchedulerName {
	case "", ask.DefaultScheduler, ask.SchedulerName:
	default:
		return false
	}
	if c := metav1.GetControllerOfNoCopy(pod); c != nil && c.Kind == "DaemonSet" {
		return false
	}
	return pod.Spec.NodeName == ""
}

// wantsWeir reports whether nobody but Weir would do for the pod.
func wantsWeir(pod *corev1.Pod, share string) bool {
	return share != "" || pod.Spec.SchedulerName == ask.SchedulerName
}

// noProject refuses pods that ask for Weir where there is no project, and lets
// others pass.
func (h *handler) noProject(pod *corev1.Pod, share string) error {
	if !wantsWeir(pod, share) {
		return nil
	}
	field := cmp.Or(share, "spec.schedulerName "+ask.SchedulerName)
	return fmt.Errorf("%s is for pods of a project and namespace %q belongs to none; "+
		"name it in spec.namespaces of a Project, or set %s to one of: %s",
		field, pod.Namespace, ask.Project, some(h.projects()))
}

// known checks that the project, named by the pod's words or for its
// namespace, and the node pools exist.
func (h *handler) known(ctx context.Context, project string, words ask.Words, namespace string) error {
	_, projects := h.cfg.Owners()
	if !slices.ContainsFunc(projects, func(p v1alpha1.Project) bool { return p.Name == project }) &&
		!h.look(ctx, "projects", project, &v1alpha1.Project{}) {
		where := ask.Project
		if words.Project == "" {
			where += " of namespace " + namespace
		}
		return fmt.Errorf("%s %q is not a Project; create it or write one of: %s", where, project, some(h.projects()))
	}
	for _, p := range words.Pools {
		if names := h.cfg.NodePools(); !slices.Contains(names, p) && !h.look(ctx, "nodepools", p, &v1alpha1.NodePool{}) {
			return fmt.Errorf("%s %q is not a NodePool; create it or write one of: %s", ask.NodePool, p, some(names))
		}
	}
	return nil
}

func (h *handler) projects() []string {
	_, projects := h.cfg.Owners()
	names := make([]string, len(projects))
	for i := range projects {
		names[i] = projects[i].Name
	}
	return names
}

// some lists names, the first few where they are many.
func some(names []string) string {
	const few = 8
	names = slices.Sorted(slices.Values(names))
	switch {
	case len(names) == 0:
		return "(there are none yet)"
	case len(names) > few:
		return strings.Join(names[:few], ", ") + " …"
	}
	return strings.Join(names, ", ")
}

// warnings are about words that mean nothing.
func warnings(objects ...metav1.Object) []string {
	var all []string
	for _, obj := range objects {
		for _, m := range ask.MisspeltWords(obj) {
			all = append(all, fmt.Sprintf("%s means nothing to Weir; did you mean %s?", m.Word, m.Meant))
		}
	}
	return all
}

// admit makes the pod Weir's: the scheduler, and a claim for its share.
func (h *handler) admit(ctx context.Context, pod *corev1.Pod, f finding, dryRun bool) ([]operation, error) {
	var patch []operation
	if pod.Spec.SchedulerName != ask.SchedulerName {
		patch = append(patch, operation{"add", "/spec/schedulerName", ask.SchedulerName})
	}
	if ask.ShareWord(pod) == "" || hasClaim(pod) || len(pod.Spec.Containers) == 0 {
		return patch, nil
	}
	t := claim.Template(pod.Namespace, ask.ShapeOf(f.ask))
	if !dryRun {
		if err := h.cfg.Templates.Ensure(ctx, t); err != nil {
			return nil, err
		}
	}
	i, err := ask.Container(pod)
	if err != nil {
		return nil, err
	}
	resources := pod.Spec.Containers[i].Resources.DeepCopy()
	resources.Claims = append(resources.Claims, corev1.ResourceClaim{Name: ask.ClaimRef})
	refs := append(slices.Clip(pod.Spec.ResourceClaims),
		corev1.PodResourceClaim{Name: ask.ClaimRef, ResourceClaimTemplateName: &t.Name})
	return append(patch,
		operation{"add", "/spec/resourceClaims", refs},
		operation{"add", fmt.Sprintf("/spec/containers/%d/resources", i), resources},
	), nil
}

func hasClaim(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.ResourceClaims, func(r corev1.PodResourceClaim) bool {
		return r.Name == ask.ClaimRef
	})
}
