package live_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/sched"
)

const storageClass = "weir-test-local"

// disk makes a volume that only the nodes of a zone reach.
func (w *world) disk(name, zone string) {
	w.Helper()
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              storageClass,
			Capacity:                      corev1.ResourceList{"storage": resource.MustParse("10Gi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/data"}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}}}}}},
		},
	}
	volumes := w.kube.CoreV1().PersistentVolumes()
	if _, err := volumes.Create(w.Context(), v, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = volumes.Delete(afterwards, name, metav1.DeleteOptions{}) })
}

// wish makes a claim for a volume.
func (w *world) wish(name string) {
	w.Helper()
	class := storageClass
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
	}
	claims := w.kube.CoreV1().PersistentVolumeClaims("ml")
	if _, err := claims.Create(w.Context(), c, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = claims.Delete(afterwards, name, metav1.DeleteOptions{}) })
}

// with lets a pod mount a claim.
func with(p *corev1.Pod, claim string) *corev1.Pod {
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}})
	return p
}

// A volume is chosen where its pod is placed, and a pod is placed where its
// volume is.
func TestVolumesAreBoundWithTheirPods(t *testing.T) {
	specs := nodes(3, 2, true)
	for i := range specs {
		specs[i].Labels = map[string]string{"zone": string(rune('a' + i))}
	}
	w := newWorld(t, specs...)
	w.project("ml", "6")
	mode := storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: storageClass},
		Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &mode}
	classes := w.kube.StorageV1().StorageClasses()
	if _, err := classes.Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = classes.Delete(afterwards, storageClass, metav1.DeleteOptions{}) })
	w.disk("in-b", "b")
	w.wish("data")
	w.wish("more")
	w.scheduler()

	w.submit(with(pod("ml", "first", 1), "data"))
	if node := w.bound("ml/first"); node != "sim-1" {
		t.Errorf("bound to %s, and the only volume is in zone b, at sim-1", node)
	}
	claim := must(w.kube.CoreV1().PersistentVolumeClaims("ml").Get(t.Context(), "data", metav1.GetOptions{}))
	if claim.Spec.VolumeName != "in-b" || claim.Status.Phase != corev1.ClaimBound {
		t.Errorf("the claim is %s to volume %q", claim.Status.Phase, claim.Spec.VolumeName)
	}
	w.submit(with(pod("ml", "second", 1), "data"))
	if node := w.bound("ml/second"); node != "sim-1" {
		t.Errorf("a second pod of the volume is bound to %s, and the volume is at sim-1", node)
	}

	// The node is full, though two others are empty.
	w.submit(with(pod("ml", "third", 1), "data"), with(pod("ml", "fourth", 1), "more"))
	w.waits("ml/third", string(sched.ReasonNoDevices))
	w.waits("ml/fourth", string(sched.ReasonFitness))
	w.disk("in-c", "c")
	if node := w.bound("ml/fourth"); node != "sim-2" {
		t.Errorf("bound to %s, and the new volume is in zone c, at sim-2", node)
	}
	w.remove("ml/first")
	if node := w.bound("ml/third"); node != "sim-1" {
		t.Errorf("bound to %s, and its volume is at sim-1", node)
	}
	w.noOverGrant()
}
