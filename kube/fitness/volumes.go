package fitness

import (
	"context"
	"crypto/sha256"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumebinding"
)

// stores are the stores of an informer factory that is never started: the
// plugins list from them, and [Book.Set] fills them.
type stores struct {
	namespaces corelisters.NamespaceLister
	claims     corelisters.PersistentVolumeClaimLister
	byKind     map[string]cache.Indexer
}

func newStores(f informers.SharedInformerFactory) stores {
	core, storage := f.Core().V1(), f.Storage().V1()
	return stores{
		namespaces: core.Namespaces().Lister(),
		claims:     core.PersistentVolumeClaims().Lister(),
		byKind: map[string]cache.Indexer{
			kind(&corev1.Namespace{}):             core.Namespaces().Informer().GetIndexer(),
			kind(&corev1.Node{}):                  core.Nodes().Informer().GetIndexer(),
			kind(&corev1.Pod{}):                   core.Pods().Informer().GetIndexer(),
			kind(&corev1.PersistentVolume{}):      core.PersistentVolumes().Informer().GetIndexer(),
			kind(&corev1.PersistentVolumeClaim{}): core.PersistentVolumeClaims().Informer().GetIndexer(),
			kind(&storagev1.StorageClass{}):       storage.StorageClasses().Informer().GetIndexer(),
			kind(&storagev1.CSINode{}):            storage.CSINodes().Informer().GetIndexer(),
			kind(&storagev1.CSIDriver{}):          storage.CSIDrivers().Informer().GetIndexer(),
			kind(&storagev1.CSIStorageCapacity{}): storage.CSIStorageCapacities().Informer().GetIndexer(),
			kind(&storagev1.VolumeAttachment{}):   storage.VolumeAttachments().Informer().GetIndexer(),
		},
	}
}

func kind(obj any) string { return fmt.Sprintf("%T", obj) }

// set stores an object and tells whether its kind matters here.
func (s stores) set(obj any) bool {
	store := s.byKind[kind(obj)]
	return store != nil && store.Update(obj) == nil
}

func (s stores) delete(obj any) bool {
	store := s.byKind[kind(obj)]
	return store != nil && store.Delete(obj) == nil
}

// Volumes are the volume choices made for a pod that was given a node. Its
// methods may be called from any goroutine.
type Volumes struct {
	binder volumebinding.SchedulerVolumeBinder
	scene  *scene
	pod    *corev1.Pod
	chosen *volumebinding.PodVolumes
}

// Reserve chooses the volumes of a pod at a node and keeps others from
// choosing them. It returns nil when nothing has to be bound.
func (b *Book) Reserve(pod, node string) (*Volumes, error) {
	e, info := b.pods[pod], b.scene.infos[node]
	if e == nil || info == nil || !usesClaims(e.pod) {
		return nil, nil
	}
	binder, log := b.plugins.volumes.Binder, klog.Background()
	claims, err := binder.GetPodVolumeClaims(log, e.pod)
	if err != nil {
		return nil, fmt.Errorf("reading the volume claims of pod %s: %w", pod, err)
	}
	chosen, conflicts, err := binder.FindPodVolumes(log, e.pod, claims, info.Node())
	if err != nil {
		return nil, fmt.Errorf("choosing volumes for pod %s: %w", pod, err)
	}
	if len(conflicts) > 0 {
		return nil, fmt.Errorf("choosing volumes for pod %s on node %s: %s", pod, node, conflicts[0])
	}
	assumed := *e.pod
	assumed.Spec.NodeName = node
	bound, err := binder.AssumePodVolumes(log, &assumed, node, chosen)
	if err != nil {
		return nil, fmt.Errorf("reserving volumes for pod %s: %w", pod, err)
	}
	if bound {
		return nil, nil
	}
	b.scene.touch()
	return &Volumes{binder: binder, scene: b.scene, pod: &assumed, chosen: chosen}, nil
}

// Bind writes the choices and waits until the volumes are there.
func (v *Volumes) Bind(ctx context.Context) error {
	return v.binder.BindPodVolumes(ctx, v.pod, v.chosen)
}

// Release gives the choices up.
func (v *Volumes) Release() {
	v.binder.RevertAssumedPodVolumes(v.chosen)
	v.scene.touch()
}

// volumeKey names the volumes of a pod and the state that they are in.
func (b *Book) volumeKey(pod *corev1.Pod) string {
	h := sha256.New()
	writeAll(h, pod.Namespace)
	waiting := false
	for i := range pod.Spec.Volumes {
		name := claimName(pod, &pod.Spec.Volumes[i])
		if name == "" {
			continue
		}
		claim, err := b.stores.claims.PersistentVolumeClaims(pod.Namespace).Get(name)
		if err != nil {
			writeAll(h, name)
			continue
		}
		writeAll(h, name, string(claim.UID), claim.Spec.VolumeName)
		waiting = waiting || claim.Spec.VolumeName == ""
	}
	if waiting {
		writeAll(h, fmt.Sprint(b.shelves))
	}
	return sum(h)
}

func claimName(pod *corev1.Pod, v *corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return pod.Name + "-" + v.Name
	}
	return ""
}

func usesClaims(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if claimName(pod, &pod.Spec.Volumes[i]) != "" {
			return true
		}
	}
	return false
}

func usesClaim(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	if pod.Namespace != claim.Namespace {
		return false
	}
	for i := range pod.Spec.Volumes {
		if claimName(pod, &pod.Spec.Volumes[i]) == claim.Name {
			return true
		}
	}
	return false
}

// contended tells whether a volume may keep a pod off a node.
func contended(v corev1.Volume) bool {
	return v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.GCEPersistentDisk != nil ||
		v.AWSElasticBlockStore != nil || v.RBD != nil || v.ISCSI != nil
}
