package live_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/live"
	"github.com/weir-gpu/weir/sched"
)

// taleClock stands still but when it is set. Tickers go on.
type taleClock struct {
	clock.RealClock
	at atomic.Pointer[time.Time]
}

func (c *taleClock) Now() time.Time                  { return *c.at.Load() }
func (c *taleClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// theatre is a cluster in which a tale is played.
type theatre struct {
	*world
	tale   *tale
	clock  taleClock
	owners map[*taleJob]metav1.OwnerReference
	asked  int // questions whether the scheduler is done

	mu   sync.Mutex
	pods map[string]*corev1.Pod // as they are
	did  []string               // since the last moment
}

// desk is a node without GPUs, where nothing of a tale runs.
var desk = simnode.Spec{Name: "desk", CPU: 1000, Memory: 1 << 30, Pods: 10_000}

func newTheatre(t *testing.T, tale *tale) *theatre {
	th := &theatre{
		world: newStillWorld(t, append(slices.Clone(tale.nodes), desk)...), tale: tale,
		owners: map[*taleJob]metav1.OwnerReference{}, pods: map[string]*corev1.Pod{},
	}
	t.Cleanup(th.close)
	if err := th.fleet.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	th.create("nodepools", fmt.Sprintf(`
apiVersion: weir.dev/v1alpha1
kind: NodePool
metadata: {name: default}
spec: {surplusRuntime: %ds}`, int(tale.spared.Seconds())))
	for _, p := range tale.projects {
		th.project(p.name, hundredths(p.quota))
	}
	th.project(desk.Name, "0")
	th.watch()
	return th
}

// close removes what the tale left.
func (th *theatre) close() {
	for _, p := range th.tale.projects {
		background := metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
		for _, j := range must(th.kube.BatchV1().Jobs(p.name).List(afterwards, metav1.ListOptions{})).Items {
			_ = th.kube.BatchV1().Jobs(p.name).Delete(afterwards, j.Name, background)
		}
	}
	th.clear()
}

// compare plays the tale, moment by moment.
func (th *theatre) compare(s *simulation) {
	th.clock.at.Store(ptr.To(s.at(0)))
	th.scheduler(func(o *live.Options) { o.Clock = &th.clock })
	for _, m := range s.moments {
		th.clock.at.Store(ptr.To(s.at(m.step)))
		th.play(m)
		if got, ok := th.does(m.does); !ok {
			th.Fatalf("%v:\nthe cluster\n\t%s\nsimulated\n\t%s\n%v", m,
				strings.Join(got, "\n\t"), strings.Join(m.does, "\n\t"), th.tale)
		}
		if len(m.does) == 0 {
			th.ask()
		}
	}
	th.ask()
	if late, ok := th.does(nil); !ok {
		th.Errorf("after the end the cluster\n\t%s\n%v", strings.Join(late, "\n\t"), th.tale)
	}
	th.noOverGrant()
}

// does waits until just that was done.
func (th *theatre) does(want []string) (did []string, ok bool) {
	for end := time.Now().Add(*longest); time.Now().Before(end); time.Sleep(time.Millisecond) {
		th.mu.Lock()
		did = slices.Sorted(slices.Values(th.did))
		if ok = slices.Equal(did, want); ok {
			th.did = nil
		}
		th.mu.Unlock()
		if ok || len(did) > len(want) {
			break
		}
	}
	return did, ok
}

// ask waits until the scheduler has looked at all that there is: it starts pods
// in the order in which it hears of them, and this one fits always.
func (th *theatre) ask() {
	th.Helper()
	th.asked++
	p := pod(desk.Name, fmt.Sprintf("done-%d", th.asked), 0)
	p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: desk.Name}
	p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m")}
	th.submit(p)
	id := p.Namespace + "/" + p.Name
	for end := time.Now().Add(*longest); !th.isBound(id); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			th.Fatalf("%s is not bound", id)
		}
	}
}

func (th *theatre) isBound(id string) bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	p := th.pods[id]
	return p != nil && p.Spec.NodeName != ""
}

func (th *theatre) play(m moment) {
	th.Helper()
	namespace, name, _ := strings.Cut(m.job.pod(m.pod), "/")
	pods := th.kube.CoreV1().Pods(namespace)
	switch m.what {
	case comesUp:
		th.submitTaleJob(m.job)
	case comes:
		th.submit(th.member(m.job, m.pod))
	case isEnding:
		if err := pods.Delete(th.Context(), name, metav1.DeleteOptions{}); err != nil {
			th.Fatal(err)
		}
	case goes:
		p := must(pods.Get(th.Context(), name, metav1.GetOptions{}))
		now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
		if err := pods.Delete(th.Context(), name, now); err != nil {
			th.Fatal(err)
		}
		th.eventually("the claims of "+name+" are free", func() error { return th.holds(p) })
	}
}

// holds says which claim a pod holds that is gone.
func (th *theatre) holds(p *corev1.Pod) error {
	for _, c := range must(th.kube.ResourceV1().ResourceClaims(p.Namespace).List(th.Context(), metav1.ListOptions{})).Items {
		if owner := metav1.GetControllerOf(&c); owner != nil && owner.UID == p.UID && c.Status.Allocation != nil {
			return fmt.Errorf("claim %s is allocated", c.Name)
		}
	}
	return nil
}

// submitTaleJob makes a Job that no controller looks after, and its pods.
func (th *theatre) submitTaleJob(j *taleJob) {
	th.Helper()
	template := pod(j.project, "", 0)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	job := must(th.kube.BatchV1().Jobs(j.project).Create(th.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: j.project, Name: j.name, Annotations: map[string]string{
			ask.Priority: fmt.Sprint(j.priority), ask.Preemptible: fmt.Sprint(j.preemptible), ask.MaxMoves: "0",
		}},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To(int32(j.pods)), ManagedBy: ptr.To("weir.dev/tale"),
			Template: corev1.PodTemplateSpec{Spec: template.Spec},
		},
	}, metav1.CreateOptions{}))
	th.owners[j] = *metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))
	for i := range j.pods {
		th.submit(th.member(j, i))
	}
}

// member returns a pod of a Job, to be created. Once it is stopped, it stays
// until it is its turn to go.
func (th *theatre) member(j *taleJob, i int) *corev1.Pod {
	_, name, _ := strings.Cut(j.pod(i), "/")
	p := pod(j.project, name, j.gpus)
	if j.part > 0 {
		p = th.share(pod(j.project, name, 0, ask.GPUFraction+"="+hundredths(j.part)))
	}
	p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](3600)
	p.OwnerReferences = []metav1.OwnerReference{th.owners[j]}
	return p
}

// watch writes down what is done to pods.
func (th *theatre) watch() {
	factory := informers.NewSharedInformerFactory(th.kube, 0)
	informer := factory.Core().V1().Pods().Informer()
	must(informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { th.saw(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { th.saw(o.(*corev1.Pod)) },
	}))
	factory.Start(th.Context().Done())
	factory.WaitForCacheSync(th.Context().Done())
}

func (th *theatre) saw(p *corev1.Pod) {
	id := p.Namespace + "/" + p.Name
	th.mu.Lock()
	old := th.pods[id]
	th.mu.Unlock()
	if old == nil || old.UID != p.UID {
		old = &corev1.Pod{}
	}
	var did []string
	if p.Spec.NodeName != "" && old.Spec.NodeName == "" && p.Namespace != desk.Name {
		g := sched.Grant{Node: p.Spec.NodeName, Devices: th.devices(p)}
		did = append(did, started(id, g, th.tale.nodes[0].Counted))
	}
	if why := disruption(p); why != "" && disruption(old) == "" {
		did = append(did, stopped(id, why))
	}
	th.mu.Lock()
	defer th.mu.Unlock()
	th.pods[id] = p
	th.did = append(th.did, did...)
}

// disruption is what a pod is told of why it stops.
func disruption(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

// devices are those that a pod holds.
func (th *theatre) devices(p *corev1.Pod) (all []sched.Share) {
	if th.tale.nodes[0].Counted {
		q := p.Spec.Containers[0].Resources.Limits[ask.WholeGPU]
		return make([]sched.Share, q.Value())
	}
	var names []string
	for _, s := range p.Status.ResourceClaimStatuses {
		names = append(names, *s.ResourceClaimName)
	}
	if s := p.Status.ExtendedResourceClaimStatus; s != nil {
		names = append(names, s.ResourceClaimName)
	}
	for _, name := range names {
		c, err := th.kube.ResourceV1().ResourceClaims(p.Namespace).Get(th.Context(), name, metav1.GetOptions{})
		if err != nil {
			th.Errorf("a claim of %s: %v", p.Name, err)
			continue
		}
		g, _, err := claim.Held(c, nil)
		if err != nil || g.Node != p.Spec.NodeName {
			th.Errorf("the claim of %s on node %s is for %+v: %v", p.Name, p.Spec.NodeName, g, err)
		}
		all = append(all, g.Devices...)
	}
	return all
}
