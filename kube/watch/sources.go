package watch

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// Cluster returns the sources of Kubernetes' own kinds that a scheduler looks
// at.
func Cluster(c kubernetes.Interface) []Source {
	core, storage := c.CoreV1().RESTClient(), c.StorageV1().RESTClient()
	source := func(client rest.Interface, name string, example runtime.Object) Source {
		return Source{Name: name, Example: example,
			List: cache.NewListWatchFromClient(client, name, "", fields.Everything())}
	}
	return []Source{
		source(core, "nodes", &corev1.Node{}),
		source(core, "namespaces", &corev1.Namespace{}),
		source(core, "pods", &corev1.Pod{}),
		source(core, "persistentvolumes", &corev1.PersistentVolume{}),
		source(core, "persistentvolumeclaims", &corev1.PersistentVolumeClaim{}),
		source(storage, "storageclasses", &storagev1.StorageClass{}),
		source(storage, "csinodes", &storagev1.CSINode{}),
		source(storage, "csidrivers", &storagev1.CSIDriver{}),
		source(storage, "csistoragecapacities", &storagev1.CSIStorageCapacity{}),
		source(storage, "volumeattachments", &storagev1.VolumeAttachment{}),
		source(c.SchedulingV1().RESTClient(), "priorityclasses", &schedulingv1.PriorityClass{}),
		source(c.PolicyV1().RESTClient(), "poddisruptionbudgets", &policyv1.PodDisruptionBudget{}),
		source(c.ResourceV1().RESTClient(), "resourceslices", &resourcev1.ResourceSlice{}),
		source(c.ResourceV1().RESTClient(), "resourceclaims", &resourcev1.ResourceClaim{}),
		source(c.ResourceV1().RESTClient(), "resourceclaimtemplates", &resourcev1.ResourceClaimTemplate{}),
	}
}

// Weir returns the sources of Weir's own kinds.
func Weir(client rest.Interface) []Source {
	source := func(name string, example runtime.Object) Source {
		return Source{Name: name, Example: example,
			List: cache.NewListWatchFromClient(client, name, "", fields.Everything())}
	}
	return []Source{
		source("departments", &v1alpha1.Department{}),
		source("projects", &v1alpha1.Project{}),
		source("nodepools", &v1alpha1.NodePool{}),
		source("workloadrules", &v1alpha1.WorkloadRule{}),
	}
}

// WeirClient returns a client for Weir's own kinds. They come as JSON, as all
// kinds that a cluster was taught do.
func WeirClient(cfg *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering Weir's kinds: %w", err)
	}
	cfg = rest.CopyConfig(cfg)
	cfg.APIPath = "/apis"
	cfg.GroupVersion = &v1alpha1.GroupVersion
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for Weir's kinds: %w", err)
	}
	return client, nil
}
