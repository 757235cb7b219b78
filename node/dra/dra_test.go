package dra

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/cdi"
	"github.com/weir-gpu/weir/node/discover"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/sched"
)

// node is one with two devices, an agent and the plugin of a test.
type node struct {
	*testing.T
	*Plugin
	client *fake.Clientset
}

func newNode(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	driver := filepath.Join(dir, "driver")
	for _, name := range []string{"libcuda.so.1", "libnvidia-ml.so.1"} {
		if err := os.MkdirAll(driver, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(driver, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	libraries, err := cdi.Find("/shim", "/", driver, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	devices := []parts.Device{
		{UUID: "GPU-a", Name: "H100", Memory: 80 << 30}, {UUID: "GPU-b", Name: "H100", Ordinal: 1, Memory: 80 << 30}}
	short, err := os.MkdirTemp("", "weir") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	a, err := agent.New(agent.Options{Dir: short, Devices: devices, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	<-a.Ready()
	client := fake.NewClientset()
	return &node{t, New(Options{Client: client, Node: "n1", Jobs: a, Devices: devices, Libraries: libraries,
		Folder: cdi.Folder(filepath.Join(dir, "cdi")), Logger: slog.New(slog.DiscardHandler)}), client}
}

// uses says of each container, by its name, which claims and requests it uses.
type usesClaims map[string][]corev1.ResourceClaim

// pod makes a pod whose claims have the names that its containers call them by.
func (n *node) pod(name string, uses usesClaims) *corev1.Pod {
	n.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, UID: types.UID("uid-" + name)}}
	for container, claims := range uses {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: container,
			Resources: corev1.ResourceRequirements{Claims: claims}})
		for _, c := range claims {
			if !slices.ContainsFunc(pod.Spec.ResourceClaims, func(r corev1.PodResourceClaim) bool { return r.Name == c.Name }) {
				pod.Spec.ResourceClaims = append(pod.Spec.ResourceClaims,
					corev1.PodResourceClaim{Name: c.Name, ResourceClaimName: &c.Name})
			}
		}
	}
	slices.SortFunc(pod.Spec.Containers, func(a, b corev1.Container) int { return strings.Compare(a.Name, b.Name) })
	if _, err := n.client.CoreV1().Pods("ml").Create(n.Context(), pod, metav1.CreateOptions{}); err != nil {
		n.Fatal(err)
	}
	return pod
}

// claim makes a claim of a pod, with a share for each of its requests.
func (n *node) claim(pod *corev1.Pod, name, on string, shares map[string]sched.Share) *resourcev1.ResourceClaim {
	n.Helper()
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, UID: types.UID("uid-" + name),
		OwnerReferences: []metav1.OwnerReference{{Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: new(true)}}}}
	var list []sched.Share
	for _, request := range []string{"gpu", "first", "second"} {
		if s, ok := shares[request]; ok {
			c.Spec.Devices.Requests = append(c.Spec.Devices.Requests, resourcev1.DeviceRequest{Name: request,
				Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: ask.Driver}})
			list = append(list, s)
		}
	}
	granted, err := claim.Grant(pod, []*resourcev1.ResourceClaim{c}, sched.Grant{Node: on, Devices: list})
	if err != nil {
		n.Fatal(err)
	}
	if _, err := n.client.ResourceV1().ResourceClaims("ml").Create(n.Context(), granted[0], metav1.CreateOptions{}); err != nil {
		n.Fatal(err)
	}
	return granted[0]
}

func (n *node) asked(c *resourcev1.ResourceClaim) ([]kubeletplugin.Device, error) {
	n.Helper()
	results, err := n.PrepareResourceClaims(n.Context(), []*resourcev1.ResourceClaim{c})
	if err != nil {
		n.Fatal(err)
	}
	return results[c.UID].Devices, results[c.UID].Err
}

// jobs are what the agent holds, by name.
func (n *node) jobs() (list []string) {
	n.Helper()
	holds, err := n.Jobs.Holds()
	if err != nil {
		n.Fatal(err)
	}
	for _, h := range holds {
		list = append(list, h.By)
	}
	slices.Sort(list)
	return list
}

func (n *node) wantJobs(want ...string) {
	n.Helper()
	if got := n.jobs(); !slices.Equal(got, want) {
		n.Errorf("jobs %q, want %q", got, want)
	}
}

func half(device string) sched.Share {
	return sched.Share{Device: device, MemoryMiB: 40 << 10, ComputeMilli: 500, LimitMemoryMiB: 40 << 10, LimitComputeMilli: 500}
}

func uses(claim, request string) corev1.ResourceClaim {
	return corev1.ResourceClaim{Name: claim, Request: request}
}

// A claim is prepared once, however often it is asked for, and taken away
// wholly.
func TestPrepareAndUnprepare(t *testing.T) {
	n := newNode(t)
	pod := n.pod("train", usesClaims{"main": {uses("c", "")}})
	c := n.claim(pod, "c", "n1", map[string]sched.Share{"gpu": half("gpu-1")})
	for range 2 {
		devices, err := n.asked(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(devices) != 1 || devices[0].DeviceName != "gpu-1" || *devices[0].ShareID != *c.Status.Allocation.Devices.Results[0].ShareID ||
			!slices.Equal(devices[0].CDIDeviceIDs, []string{"gpu.weir.dev/share=uid-c-gpu"}) {
			t.Errorf("%+v", devices)
		}
		n.wantJobs("ml/c/uid-c/gpu")
	}
	text, err := os.ReadFile(filepath.Join(string(n.Folder), "gpu.weir.dev-uid-c.json"))
	if err != nil {
		t.Fatal(err)
	}
	holds, _ := n.Jobs.Holds()
	for _, want := range []string{`"CUDA_VISIBLE_DEVICES=GPU-b"`, `"containerPath": "/run/weir"`, `"hostPath": "` + holds[0].Door + `"`,
		`"hostPath": "/shim/libcuda.so.1"`, `"containerPath": "/usr/lib64/driver/libnvidia-ml.so.1"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	for range 2 {
		results, err := n.UnprepareResourceClaims(n.Context(), []kubeletplugin.NamespacedObject{{UID: c.UID}})
		if err != nil || results[c.UID] != nil {
			t.Errorf("%v, %v", results, err)
		}
	}
	n.wantJobs()
	if names, err := n.Folder.Names(); len(names) > 0 || err != nil {
		t.Errorf("files of %q stay, %v", names, err)
	}
}

// Containers that share a request share a job; others have one of their own.
func TestWhoSharesAJob(t *testing.T) {
	for _, c := range []struct {
		name   string
		uses   usesClaims
		shares map[string]sched.Share
		jobs   []string
		ids    []string // by share
		fails  string
	}{
		{"two of one request", usesClaims{"a": {uses("c", "")}, "b": {uses("c", "gpu")}},
			map[string]sched.Share{"gpu": half("gpu-0")}, []string{"ml/c/uid-c/gpu"}, []string{"gpu"}, ""},
		{"each its own", usesClaims{"a": {uses("c", "first")}, "b": {uses("c", "second")}},
			map[string]sched.Share{"first": half("gpu-0"), "second": half("gpu-0")},
			[]string{"ml/c/uid-c/first", "ml/c/uid-c/second"}, []string{"first", "second"}, ""},
		{"one with both", usesClaims{"a": {uses("c", "first"), uses("c", "second")}, "b": {uses("c", "second")}},
			map[string]sched.Share{"first": half("gpu-0"), "second": half("gpu-1")},
			[]string{"ml/c/uid-c/first"}, []string{"first", "first"}, ""},
		{"two claims of one container", usesClaims{"a": {uses("c", ""), uses("other", "")}},
			map[string]sched.Share{"gpu": half("gpu-0")}, nil, nil, "uses claims c and other"},
		{"a device that is not there", usesClaims{"a": {uses("c", "")}},
			map[string]sched.Share{"gpu": half("gpu-7")}, nil, nil, "gpu-7, which is not there"},
		{"more than there is", usesClaims{"a": {uses("c", "first")}, "b": {uses("c", "second")}},
			map[string]sched.Share{"first": half("gpu-0"), "second": {Device: "gpu-0", MemoryMiB: 1, ComputeMilli: 501,
				LimitMemoryMiB: 1, LimitComputeMilli: 501}}, []string{"ml/c/uid-c/first"}, nil, "more of GPU 0 than is left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			pod := n.pod("train", c.uses)
			n.claim(pod, "other", "n1", map[string]sched.Share{"gpu": half("gpu-1")})
			devices, err := n.asked(n.claim(pod, "c", "n1", c.shares))
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("%v, want %q", err, c.fails)
			}
			n.wantJobs(c.jobs...)
			for i, d := range devices {
				if want := "gpu.weir.dev/share=uid-c-" + c.ids[i]; !slices.Equal(d.CDIDeviceIDs, []string{want}) {
					t.Errorf("share %d is %q, want %s", i, d.CDIDeviceIDs, want)
				}
			}
		})
	}
}

// recorder takes all requests, but has no host memory unless it says so.
type recorder struct {
	Jobs
	arena bool
	last  agent.Request
}

func (r *recorder) Hold(_ agent.Hold, request agent.Request, _ []parts.Part) (agent.Held, error) {
	if request.Policy == agent.Lend && !r.arena {
		return agent.Held{}, &agent.NoArenaError{Need: 1}
	}
	r.last = request
	return agent.Held{}, nil
}

// A pod says what may be done with its memory; without host memory it is kept.
func TestIdleMemory(t *testing.T) {
	burst := sched.Share{Device: "gpu-0", MemoryMiB: 1024, ComputeMilli: 100, LimitMemoryMiB: 2048, LimitComputeMilli: 1000}
	for _, c := range []struct {
		word  string
		arena bool
		share sched.Share
		want  agent.Request
		fails string
	}{
		{"keep", true, half("gpu-0"), agent.Request{Policy: agent.Never, Mode: "strict"}, ""},
		{"keep", true, burst, agent.Request{Policy: agent.Never, Mode: "fair"}, ""},
		{"lend", true, half("gpu-0"), agent.Request{Policy: agent.Lend, Mode: "strict"}, ""},
		{"lend", true, burst, agent.Request{Policy: agent.Lend, Mode: "fair", Most: 2 << 30}, ""},
		{"lend", false, burst, agent.Request{Policy: agent.Never, Mode: "fair"}, ""},
		{"give", true, half("gpu-0"), agent.Request{}, `weir.dev/gpu-idle-memory "give" is no way to treat it; write lend or keep`},
	} {
		n := newNode(t)
		r := &recorder{Jobs: n.Jobs, arena: c.arena}
		n.Jobs = r
		pod := n.pod("train", usesClaims{"main": {uses("c", "")}})
		pod.Annotations = map[string]string{ask.GPUIdleMemory: c.word}
		if _, err := n.client.CoreV1().Pods("ml").Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := n.asked(n.claim(pod, "c", "n1", map[string]sched.Share{"gpu": c.share}))
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%q: %v, want %q", c.word, err, c.fails)
		}
		if got := (agent.Request{Policy: r.last.Policy, Mode: r.last.Mode, Most: r.last.Most}); got != c.want {
			t.Errorf("%q, arena %v: %+v, want %+v", c.word, c.arena, got, c.want)
		}
	}
}

// What another node was granted is not this one's.
func TestOtherNodes(t *testing.T) {
	n := newNode(t)
	pod := n.pod("train", usesClaims{"main": {uses("c", "")}})
	_, err := n.asked(n.claim(pod, "c", "n2", map[string]sched.Share{"gpu": half("gpu-0")}))
	if err == nil || !strings.Contains(err.Error(), "on node n2, and this is n1") {
		t.Error(err)
	}
}

// A plugin that begins takes away what has no claim, and nothing that has, nor
// what processes are in.
func TestSweep(t *testing.T) {
	n := newNode(t)
	pod := n.pod("train", usesClaims{"main": {uses("c", "")}})
	for _, name := range []string{"lives", "gone", "replaced", "freed", "busy"} {
		share := half("gpu-0")
		share.MemoryMiB, share.ComputeMilli, share.LimitMemoryMiB, share.LimitComputeMilli = 1, 1, 1, 1
		if _, err := n.asked(n.claim(pod, name, "n1", map[string]sched.Share{"gpu": share})); err != nil {
			t.Fatal(err)
		}
	}
	claims := n.client.ResourceV1().ResourceClaims("ml")
	for _, name := range []string{"gone", "busy"} {
		if err := claims.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*resourcev1.ResourceClaim){
		"replaced": func(c *resourcev1.ResourceClaim) { c.UID = "another" },
		"freed":    func(c *resourcev1.ResourceClaim) { c.Status.Allocation = nil },
	} {
		c, err := claims.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		if err := n.client.Tracker().Update(resourcev1.SchemeGroupVersion.WithResource("resourceclaims"), c, "ml"); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Folder.Write("uid-nobody", nil); err != nil {
		t.Fatal(err)
	}
	n.Jobs = &counting{n.Jobs, "ml/busy/uid-busy/gpu"}
	n.sweep(t.Context())
	n.wantJobs("ml/busy/uid-busy/gpu", "ml/lives/uid-lives/gpu")
	if names, err := n.Folder.Names(); err != nil || !slices.Equal(names, []string{"uid-busy", "uid-lives"}) {
		t.Errorf("files of %q, %v", names, err)
	}
}

// counting says of one job that it has a process.
type counting struct {
	Jobs
	busy string
}

func (c *counting) Holds() ([]agent.Held, error) {
	holds, err := c.Jobs.Holds()
	for i := range holds {
		if holds[i].By == c.busy {
			holds[i].Processes = 1
		}
	}
	return holds, err
}

// What cannot be asked is not taken for gone.
func TestSweepWithoutAnAPIServer(t *testing.T) {
	n := newNode(t)
	pod := n.pod("train", usesClaims{"main": {uses("c", "")}})
	if _, err := n.asked(n.claim(pod, "c", "n1", map[string]sched.Share{"gpu": half("gpu-0")})); err != nil {
		t.Fatal(err)
	}
	n.client.PrependReactor("get", "resourceclaims", failing)
	n.sweep(t.Context())
	n.wantJobs("ml/c/uid-c/gpu")
}

func failing(clientgotesting.Action) (bool, runtime.Object, error) {
	return true, nil, errors.New("no answer")
}

// A device that the driver does not name takes no new pods; when it does not name
// it a second time it is lost, and who is there is to go. A driver that does not
// answer loses nobody anything.
func TestHealth(t *testing.T) {
	n := newNode(t)
	there := n.Devices
	var failure error
	n.Look = func(context.Context) ([]parts.Device, error) { return there, failure }
	tainted := func() (list []string) {
		for _, d := range n.resources().Pools["n1"].Slices[0].Devices {
			for _, taint := range d.Taints {
				list = append(list, d.Name+" "+taint.Key+" "+string(taint.Effect))
			}
		}
		return list
	}
	both := func(taint string) []string {
		return []string{"gpu-0 gpu.weir.dev/" + taint, "gpu-1 gpu.weir.dev/" + taint}
	}
	for _, step := range []struct {
		there   []parts.Device
		failure error
		changed bool
		want    []string
	}{
		{n.Devices, nil, false, nil},
		{nil, errors.New("no answer"), true, both("unhealthy NoSchedule")},
		{nil, errors.New("no answer"), false, both("unhealthy NoSchedule")},
		{n.Devices, nil, true, nil},
		{n.Devices[:1], nil, true, []string{"gpu-1 gpu.weir.dev/unhealthy NoSchedule"}},
		{n.Devices[:1], nil, true, []string{"gpu-1 gpu.weir.dev/lost NoExecute"}},
		{n.Devices[:1], nil, false, []string{"gpu-1 gpu.weir.dev/lost NoExecute"}},
		{nil, discover.ErrNone, true, []string{"gpu-0 gpu.weir.dev/unhealthy NoSchedule", "gpu-1 gpu.weir.dev/lost NoExecute"}},
		{nil, discover.ErrNone, true, both("lost NoExecute")},
		{nil, errors.New("no answer"), false, both("lost NoExecute")},
		{n.Devices, nil, true, nil},
	} {
		there, failure = step.there, step.failure
		if changed := n.look(t.Context()); changed != step.changed || !slices.Equal(tainted(), step.want) {
			t.Errorf("changed %v, tainted %q; want %+v", changed, tainted(), step)
		}
	}
}
