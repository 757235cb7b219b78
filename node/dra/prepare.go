package dra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/cdi"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/sched"
)

// holder is who holds a job: a claim, or the part of it that some containers
// use of which others use none.
type holder struct {
	Namespace, Claim string
	UID              types.UID
	Part             string // the first of its requests
}

func (h holder) String() string {
	return strings.Join([]string{h.Namespace, h.Claim, string(h.UID), h.Part}, "/")
}

func parseHolder(text string) (holder, bool) {
	words := strings.SplitN(text, "/", 4)
	if len(words) != 4 {
		return holder{}, false
	}
	return holder{words[0], words[1], types.UID(words[2]), words[3]}, true
}

// prepare makes the jobs of a claim, and says which devices its containers are
// to be given.
func (p *Plugin) prepare(ctx context.Context, c *resourcev1.ResourceClaim) ([]kubeletplugin.Device, error) {
	granted, _, err := claim.Held(c, p.known)
	if err != nil {
		return nil, err
	}
	if granted.Node != "" && granted.Node != p.Node {
		return nil, fmt.Errorf("it is allocated on node %s, and this is %s", granted.Node, p.Node)
	}
	pod, err := p.podOf(ctx, c)
	if err != nil {
		return nil, err
	}
	results := claim.Results(c)
	uses, err := usesOf(c, pod, func(other string) (bool, error) {
		o, err := p.Client.ResourceV1().ResourceClaims(c.Namespace).Get(ctx, other, metav1.GetOptions{})
		return err == nil && len(claim.Results(o)) > 0, err
	})
	if err != nil {
		return nil, err
	}
	var files []cdi.Device
	var devices []kubeletplugin.Device
	for _, u := range uses {
		given, err := p.job(c, pod, u, results, granted.Devices)
		if err != nil {
			return nil, err
		}
		files = append(files, given)
		named := map[string]bool{} // the runtime is told of a device once for each request
		for _, r := range results {
			if !slices.Contains(u.requests, base(r.Request)) {
				continue
			}
			d := kubeletplugin.Device{Requests: []string{r.Request}, PoolName: r.Pool, DeviceName: r.Device, ShareID: r.ShareID}
			if !named[r.Request] {
				d.CDIDeviceIDs = []string{given.ID()}
			}
			named[r.Request] = true
			devices = append(devices, d)
		}
	}
	return devices, p.Folder.Write(string(c.UID), files)
}

// podOf returns the pod that a claim is reserved for; of several the first, as
// they share what the claim has.
func (p *Plugin) podOf(ctx context.Context, c *resourcev1.ResourceClaim) (*corev1.Pod, error) {
	for _, r := range c.Status.ReservedFor {
		if r.APIGroup != "" || r.Resource != "pods" {
			continue
		}
		pod, err := p.Client.CoreV1().Pods(c.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("looking at the pod that it is reserved for: %w", err)
		}
		if pod.UID == r.UID {
			return pod, nil
		}
	}
	return nil, errors.New("it is reserved for no pod that exists")
}

// job makes the agent's job for a part of a claim.
func (p *Plugin) job(c *resourcev1.ResourceClaim, pod *corev1.Pod, u use,
	results []*resourcev1.DeviceRequestAllocationResult, shares []sched.Share,
) (cdi.Device, error) {
	var mine []sched.Share
	for i, s := range shares {
		if slices.Contains(u.requests, base(results[i].Request)) {
			mine = append(mine, s)
		}
	}
	exact, mode, err := p.parts(mine)
	if err != nil {
		return cdi.Device{}, err
	}
	h := agent.Hold{By: holder{c.Namespace, c.Name, c.UID, u.requests[0]}.String()}
	if metav1.IsControlledBy(c, pod) { // else other pods may use it too
		// cgroupfs writes the pod's UID as it is, systemd with underscores.
		h.Within = []string{"pod" + string(pod.UID), "pod" + strings.ReplaceAll(string(pod.UID), "-", "_")}
	}
	r := agent.Request{Name: u.name(pod), Mode: mode, Most: most(mine)}
	held, err := p.hold(h, r, exact, pod)
	if err != nil {
		return cdi.Device{}, err
	}
	share := cdi.Share{Door: held.Door}
	for _, part := range exact {
		share.UUIDs = append(share.UUIDs, p.Devices[part.Device].UUID)
	}
	edits, err := p.Libraries.Edits(share)
	return cdi.Device{Name: string(c.UID) + "-" + u.requests[0], Edits: edits}, err
}

// most is up to where shares may burst into memory that others leave; 0: not at
// all.
func most(shares []sched.Share) (bytes uint64) {
	for _, s := range shares {
		if s.LimitMemoryMiB > s.MemoryMiB {
			bytes = max(bytes, uint64(s.LimitMemoryMiB)<<20)
		}
	}
	return bytes
}

// hold holds a job, as the pod allows for its memory. What may be lent stays
// where it is while the node has no host memory for it.
func (p *Plugin) hold(h agent.Hold, r agent.Request, exact []parts.Part, pod *corev1.Pod) (agent.Held, error) {
	lends, err := ask.LendsIdleMemory(pod)
	if err != nil {
		return agent.Held{}, err
	}
	if lends {
		r.Policy = agent.Lend
		held, err := p.Jobs.Hold(h, r, exact)
		var none *agent.NoArenaError
		if !errors.As(err, &none) {
			return held, err
		}
		p.Logger.Info("a pod's memory cannot be lent", "job", r.Name, "why", err)
	}
	r.Policy, r.Most = agent.Never, 0
	return p.Jobs.Hold(h, r, exact)
}

// parts finds the devices of shares. Two shares of one device are one part.
func (p *Plugin) parts(shares []sched.Share) (exact []parts.Part, mode string, err error) {
	mode = "fair"
	for _, s := range shares {
		i := slices.IndexFunc(p.Devices, func(d parts.Device) bool { return name(d) == s.Device })
		if i < 0 {
			return nil, "", fmt.Errorf("it has a share of device %s, which is not there", s.Device)
		}
		// What others leave is had by who may have all of the device.
		if s.LimitComputeMilli < sched.WholeCompute {
			mode = "strict"
		}
		memory := min(uint64(s.MemoryMiB)<<20, p.Devices[i].Memory)
		if at := slices.IndexFunc(exact, func(e parts.Part) bool { return e.Device == i }); at >= 0 {
			exact[at].Memory += memory
			exact[at].Compute += s.ComputeMilli
			continue
		}
		exact = append(exact, parts.Part{Device: i, Memory: memory, Compute: s.ComputeMilli})
	}
	slices.SortFunc(exact, func(a, b parts.Part) int { return cmp.Compare(a.Device, b.Device) })
	return exact, mode, nil
}

// known says how large a device is, for allocations that do not.
func (p *Plugin) known(_, device string) (sched.Device, bool) {
	for _, d := range p.Devices {
		if name(d) == device {
			return sched.Device{Name: device, MemoryMiB: int64(d.Memory >> 20), ComputeMilli: sched.WholeCompute}, true
		}
	}
	return sched.Device{}, false
}

// unprepare takes away what a claim has. It may have nothing.
func (p *Plugin) unprepare(uid types.UID) error {
	if err := p.Folder.Remove(string(uid)); err != nil {
		return err
	}
	holds, err := p.Jobs.Holds()
	if err != nil {
		return err
	}
	for _, held := range holds {
		if h, ok := parseHolder(held.By); ok && h.UID == uid {
			if err := p.Jobs.Drop(held.By); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep takes away what has no claim any more: the kubelet may have been away
// when it went. A job with processes stays until they have ended.
func (p *Plugin) sweep(ctx context.Context) {
	p.turn.Lock()
	defer p.turn.Unlock()
	names, err := p.Folder.Names()
	holds, stopping := p.Jobs.Holds()
	if stopping != nil {
		return
	}
	alive := map[types.UID]bool{}
	for _, held := range holds {
		h, ok := parseHolder(held.By)
		if !ok {
			continue
		}
		if held.Processes > 0 || !p.gone(ctx, h) {
			alive[h.UID] = true
			continue
		}
		p.Logger.Info("a job has no claim any more", "job", held.ID, "claim", h.Namespace+"/"+h.Claim)
		if err := p.unprepare(h.UID); err != nil {
			p.Logger.Warn("a claim's job could not be taken away", "job", held.ID, "error", err)
		}
	}
	for _, name := range names {
		if !alive[types.UID(name)] {
			err = errors.Join(err, p.Folder.Remove(name))
		}
	}
	if err != nil {
		p.Logger.Warn("files of claims that are gone stay", "error", err)
	}
}

// gone reports whether a claim is surely not this node's any more.
func (p *Plugin) gone(ctx context.Context, h holder) bool {
	c, err := p.Client.ResourceV1().ResourceClaims(h.Namespace).Get(ctx, h.Claim, metav1.GetOptions{})
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	return c.UID != h.UID || !slices.ContainsFunc(claim.Results(c),
		func(r *resourcev1.DeviceRequestAllocationResult) bool {
			return r.Pool == p.Node && r.Driver == ask.Driver
		})
}
