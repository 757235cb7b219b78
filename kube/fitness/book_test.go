package fitness_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/kube/fitness"
	"github.com/weir-gpu/weir/sched"
)

// key is a stand-in for the real one: pods with equal specs and labels are of
// one class.
func key(pod *corev1.Pod) string {
	spec := pod.Spec
	spec.NodeName = ""
	out, err := json.Marshal([]any{spec, pod.Labels})
	if err != nil {
		panic(err)
	}
	return string(out)
}

func newBook(t *testing.T) *fitness.Book {
	t.Helper()
	b, err := fitness.New(nil, key)
	if err != nil {
		t.Fatal(err)
	}
	b.Set(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml", Labels: map[string]string{"team": "ml"}}})
	for i := 1; i <= 3; i++ {
		b.Set(node(fmt.Sprintf("n%d", i), "zone", []string{"a", "a", "b"}[i-1]))
	}
	return b
}

func node(name string, labels ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}
	for i := 0; i < len(labels); i += 2 {
		n.Labels[labels[i]] = labels[i+1]
	}
	return n
}

// pod reads a pod's spec from YAML; labels are "k=v".
func pod(t *testing.T, name, spec string, labels ...string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ml", Labels: map[string]string{}}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		p.Labels[k] = v
	}
	return p
}

func on(p *corev1.Pod, node string) *corev1.Pod {
	p = p.DeepCopy()
	p.Spec.NodeName = node
	return p
}

// places lists the nodes that the pod may run on: "n1 n3".
func places(b *fitness.Book, p *corev1.Pod, others ...sched.Placement) string {
	b.Set(p)
	var fits []string
	for _, n := range []string{"n1", "n2", "n3"} {
		if b.Fits(b.Fit(p), n, others) == "" {
			fits = append(fits, n)
		}
	}
	return strings.Join(fits, " ")
}

const (
	apart = `
affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
  {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}]}}`
	together = `
affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
  {topologyKey: zone, labelSelector: {matchLabels: {app: db}}}]}}`
	spread = `
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule,
  labelSelector: {matchLabels: {app: db}}}]`
)

func TestDemands(t *testing.T) {
	for name, c := range map[string]struct {
		pod    string
		labels []string
		want   string
		moving bool
		reason string // on the first node that does not fit
	}{
		"nothing": {want: "n1 n2 n3"},
		"node selector": {pod: `nodeSelector: {zone: b}`, want: "n3",
			reason: "the pod's nodeSelector wants zone=b"},
		"node affinity": {pod: `
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}}`, want: "n1 n2",
			reason: "the pod's node affinity matches other nodes"},
		"one node by host name": {pod: `nodeSelector: {kubernetes.io/hostname: n2}`, want: "n2", moving: true,
			reason: "the pod's nodeSelector wants kubernetes.io/hostname=n2"},
		"one node by name": {pod: `
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchFields: [{key: metadata.name, operator: In, values: [n2]}]}]}}}`, want: "n2", moving: true,
			reason: "the pod names other nodes"},
		"apart from the database on n1": {pod: apart, want: "n2 n3", moving: true,
			reason: "the pod's or another pod's (anti-)affinity forbids it"},
		"near the database": {pod: together, want: "n1 n2", moving: true,
			reason: "the pod's or another pod's (anti-)affinity forbids it"},
		"spread over zones with the database": {pod: spread, labels: []string{"app=db"}, want: "n3", moving: true,
			reason: "the pod's topology spread constraints would be broken"},
		"host port that the database has": {pod: `
containers: [{name: c, ports: [{containerPort: 80, hostPort: 5432}]}]`, want: "n2 n3", moving: true,
			reason: "a host port that the pod needs is taken"},
		"volume claim that does not exist": {pod: `
volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]`, want: "", moving: true,
			reason: `persistentvolumeclaim "data" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.Set(on(pod(t, "db", `containers: [{name: c, ports: [{containerPort: 80, hostPort: 5432}]}]`, "app=db"), "n1"))
			p := pod(t, "p", c.pod, c.labels...)
			if got := places(b, p); got != c.want {
				t.Errorf("fits on %q, want %q", got, c.want)
			}
			if got := b.Moving(b.Fit(p)); got != c.moving {
				t.Errorf("moving = %v, want %v", got, c.moving)
			}
			for _, n := range []string{"n1", "n2", "n3"} {
				if why := b.Fits(b.Fit(p), n, nil); why != "" {
					if why != c.reason {
						t.Errorf("reason %q, want %q", why, c.reason)
					}
					break
				}
			}
		})
	}
}

func TestTaints(t *testing.T) {
	b := newBook(t)
	tainted := node("n2", "zone", "a")
	tainted.Spec.Taints = []corev1.Taint{{Key: "gpu", Value: "only", Effect: corev1.TaintEffectNoSchedule}}
	b.Set(tainted)
	plain := pod(t, "plain", "")
	if got := places(b, plain); got != "n1 n3" {
		t.Errorf("plain pod fits on %q", got)
	}
	want := "the pod does not tolerate the node's taint gpu=only:NoSchedule"
	if got := b.Fits(b.Fit(plain), "n2", nil); got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	if got := places(b, pod(t, "tolerant", `tolerations: [{key: gpu, operator: Exists}]`)); got != "n1 n2 n3" {
		t.Errorf("tolerant pod fits on %q", got)
	}
	b.Set(node("n2", "zone", "a"))
	if got := places(b, plain); got != "n1 n2 n3" {
		t.Errorf("with the taint gone, the plain pod fits on %q", got)
	}
}

func TestOthersCountAndAreTakenBack(t *testing.T) {
	b := newBook(t)
	gang := []*corev1.Pod{pod(t, "g0", apart, "app=db"), pod(t, "g1", apart, "app=db"), pod(t, "g2", apart, "app=db")}
	for _, p := range gang {
		b.Set(p)
	}
	steps := []struct {
		others []sched.Placement
		want   string
	}{
		{nil, "n1 n2 n3"},
		{[]sched.Placement{{Pod: "ml/g1", Node: "n1"}}, "n2 n3"},
		{[]sched.Placement{{Pod: "ml/g1", Node: "n1"}, {Pod: "ml/g2", Node: "n3"}}, "n2"},
		{[]sched.Placement{{Pod: "ml/g1", Node: "n2"}}, "n1 n3"},
		{nil, "n1 n2 n3"},
	}
	for _, s := range steps {
		if got := places(b, gang[0], s.others...); got != s.want {
			t.Errorf("with %v: fits on %q, want %q", s.others, got, s.want)
		}
	}
	b.Set(on(gang[1], "n1"))
	if got := places(b, gang[0], sched.Placement{Pod: "ml/g1"}); got != "n1 n2 n3" {
		t.Errorf("once g1 leaves: fits on %q", got)
	}
	if got := places(b, gang[0], sched.Placement{Pod: "ml/g1", Node: "n3"}); got != "n1 n2" {
		t.Errorf("once g1 moves to n3: fits on %q", got)
	}
	if got := places(b, gang[0]); got != "n2 n3" {
		t.Errorf("with g1 on n1: fits on %q", got)
	}
}

func TestAssumedPodsCount(t *testing.T) {
	b := newBook(t)
	first, second := pod(t, "a", apart, "app=db"), pod(t, "b", apart, "app=db")
	b.Set(first)
	b.Assume("ml/a", "n1")
	b.Set(first) // a late update of the pod, still unbound
	if got := places(b, second); got != "n2 n3" {
		t.Errorf("while a is being bound to n1: fits on %q", got)
	}
	b.Set(on(first, "n1"))
	b.Forget("ml/a")
	if got := places(b, second); got != "n2 n3" {
		t.Errorf("with a bound to n1: fits on %q", got)
	}
	b.Delete(on(first, "n1"))
	if got := places(b, second); got != "n1 n2 n3" {
		t.Errorf("with a gone: fits on %q", got)
	}
}

func TestForeignAntiAffinityMakesPlainPodsMove(t *testing.T) {
	b := newBook(t)
	plain := pod(t, "plain", "", "app=db")
	b.Set(plain)
	before := b.Fit(plain)
	if b.Moving(before) {
		t.Fatal("a plain pod moves though nobody keeps it away")
	}
	b.Set(on(pod(t, "loner", apart), "n1"))
	if got := b.Rekeyed(); len(got) != 1 || got[0] != "ml/plain" {
		t.Fatalf("rekeyed %v, want ml/plain", got)
	}
	if after := b.Fit(plain); after == before || !b.Moving(after) {
		t.Errorf("class %q is still static", after)
	}
	if got := places(b, plain); got != "n2 n3" {
		t.Errorf("fits on %q", got)
	}
	b.Delete(on(pod(t, "loner", apart), "n1"))
	if got := b.Rekeyed(); len(got) != 1 {
		t.Errorf("rekeyed %v once the loner left", got)
	}
	if b.Fit(plain) != before {
		t.Error("the class did not come back")
	}
	if again := b.Rekeyed(); again != nil {
		t.Errorf("rekeyed twice: %v", again)
	}
}

func TestVolumes(t *testing.T) {
	b := newBook(t)
	p := pod(t, "p", `volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]`)
	b.Set(p)
	class, mode := "local", storagev1.VolumeBindingWaitForFirstConsumer
	b.Set(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class},
		Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &mode})
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "ml", UID: "1"},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class,
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
	}
	b.Set(claim)
	if got := places(b, p); got != "" {
		t.Errorf("without any volume: fits on %q", got)
	}
	b.Rekeyed()
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "disk"},
		Spec: corev1.PersistentVolumeSpec{StorageClassName: class, AccessModes: claim.Spec.AccessModes,
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"b"}}}}}}}},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
	b.Set(volume)
	if got := b.Rekeyed(); len(got) != 1 {
		t.Errorf("a new volume wakes %v, want ml/p", got)
	}
	if got := places(b, p); got != "n3" {
		t.Errorf("with a local disk in zone b: fits on %q", got)
	}
	reserved, err := b.Reserve("ml/p", "n3")
	if err != nil || reserved == nil {
		t.Fatalf("reserve: %v, %v", reserved, err)
	}
	other := pod(t, "other", `volumes: [{name: v, persistentVolumeClaim: {claimName: more}}]`)
	more := claim.DeepCopy()
	more.Name, more.UID = "more", "2"
	b.Set(more)
	if got := places(b, other); got != "" {
		t.Errorf("another pod takes the reserved disk: fits on %q", got)
	}
	reserved.Release()
	if got := places(b, other); got != "n3" {
		t.Errorf("after the release: fits on %q", got)
	}
}

// TestVolumesAreBound plays the part of the volume controller.
func TestVolumesAreBound(t *testing.T) {
	class, mode := "fast", storagev1.VolumeBindingWaitForFirstConsumer
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "ml", UID: "1", ResourceVersion: "1"},
		Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: &class},
	}
	client := fake.NewClientset(claim)
	b, err := fitness.New(client, key)
	if err != nil {
		t.Fatal(err)
	}
	b.Set(node("n1"))
	b.Set(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: "csi.example.org",
		VolumeBindingMode: &mode})
	b.Set(claim)
	b.Set(pod(t, "p", `volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]`))
	volumes, err := b.Reserve("ml/p", "n1")
	if err != nil || volumes == nil {
		t.Fatalf("reserve: %v, %v", volumes, err)
	}
	done := make(chan error, 1)
	go func() { done <- volumes.Bind(t.Context()) }()
	provisioned := false
	for end := time.After(20 * time.Second); ; {
		select {
		case err := <-done:
			if err != nil || !provisioned {
				t.Errorf("bound too early, or not at all: %v", err)
			}
			return
		case <-end:
			t.Fatal("not bound within 20 s")
		case <-time.After(10 * time.Millisecond):
		}
		now, err := client.CoreV1().PersistentVolumeClaims("ml").Get(t.Context(), "data", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if now.Annotations["volume.kubernetes.io/selected-node"] == "n1" && !provisioned {
			provisioned = true
			now = now.DeepCopy()
			now.ResourceVersion, now.Spec.VolumeName = "3", "pv"
			now.Annotations["pv.kubernetes.io/bind-completed"] = "yes"
			now.Status.Phase = corev1.ClaimBound
			b.Set(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv", ResourceVersion: "2"}})
			b.Set(now)
		}
	}
}

func TestNodeClass(t *testing.T) {
	a, b := node("a", "zone", "x"), node("b", "zone", "x")
	if fitness.NodeClass(a) != fitness.NodeClass(b) {
		t.Error("nodes that differ by name only are of different classes")
	}
	for name, change := range map[string]func(*corev1.Node){
		"label":  func(n *corev1.Node) { n.Labels["zone"] = "y" },
		"taint":  func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: "NoSchedule"}} },
		"cordon": func(n *corev1.Node) { n.Spec.Unschedulable = true },
	} {
		c := node("c", "zone", "x")
		change(c)
		if fitness.NodeClass(a) == fitness.NodeClass(c) {
			t.Errorf("a changed %s does not change the class", name)
		}
	}
}

func BenchmarkGangApart(b *testing.B) {
	book, err := fitness.New(nil, func(*corev1.Pod) string { return "apart" })
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		book.Set(node(fmt.Sprintf("n%d", i)))
	}
	var p corev1.Pod
	if err := yaml.Unmarshal([]byte(apart), &p.Spec); err != nil {
		b.Fatal(err)
	}
	p.Namespace, p.Labels = "ml", map[string]string{"app": "db"}
	var others []sched.Placement
	for i := range 100 {
		q := p
		q.Name = fmt.Sprintf("p%d", i)
		book.Set(&q)
		others = append(others, sched.Placement{Pod: fitness.ID(&q), Node: fmt.Sprintf("n%d", i)})
	}
	fit := book.Fit(&p)
	for b.Loop() {
		for i := range others {
			book.Fits(fit, "n999", others[:i])
		}
	}
}
