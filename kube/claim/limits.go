package claim

import (
	"bytes"
	"encoding/json"
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// ShareLimitsKind is the kind of the opaque parameters that an allocation
// carries where shares may burst above what they consume.
const ShareLimitsKind = "ShareLimits"

// ShareLimits says, per device of an allocation, up to which memory (bytes)
// and compute (milli) the share may burst. Devices not named have no more than
// they consume.
type ShareLimits struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Devices    map[string]Limit `json:"devices"`
}

// Limit bounds the bursts of one share.
type Limit struct {
	Memory  resource.Quantity `json:"memory"`
	Compute resource.Quantity `json:"compute"`
}

// limitsOf returns what is to be said about the shares' limits; ok is false
// when there is nothing: none may burst.
func limitsOf(shares []sched.Share) (l ShareLimits, ok bool) {
	l = ShareLimits{ask.ShareConfigAPIVersion, ShareLimitsKind, map[string]Limit{}}
	for _, s := range shares {
		if s.LimitMemoryMiB > s.MemoryMiB || s.LimitComputeMilli > s.ComputeMilli {
			l.Devices[s.Device] = Limit{
				Memory:  memoryQuantity(max(s.LimitMemoryMiB, s.MemoryMiB)),
				Compute: computeQuantity(max(s.LimitComputeMilli, s.ComputeMilli)),
			}
		}
	}
	return l, len(l.Devices) > 0
}

// readLimits finds the limits in an allocation.
func readLimits(configs []resourcev1.DeviceAllocationConfiguration) (ShareLimits, error) {
	for i := range configs {
		o := configs[i].Opaque
		if o == nil || o.Driver != ask.Driver || !bytes.Contains(o.Parameters.Raw, []byte(ShareLimitsKind)) {
			continue
		}
		var l ShareLimits
		if err := json.Unmarshal(o.Parameters.Raw, &l); err != nil {
			return ShareLimits{}, fmt.Errorf("the allocation's %s cannot be read: %w", ShareLimitsKind, err)
		}
		if l.Kind == ShareLimitsKind {
			return l, nil
		}
	}
	return ShareLimits{}, nil
}

// apply sets the limits of a share whose request is set.
func (l ShareLimits) apply(s *sched.Share) {
	s.LimitMemoryMiB, s.LimitComputeMilli = s.MemoryMiB, s.ComputeMilli
	if limit, ok := l.Devices[s.Device]; ok {
		s.LimitMemoryMiB = max(s.MemoryMiB, limit.Memory.Value()/mib)
		s.LimitComputeMilli = max(s.ComputeMilli, limit.Compute.Value())
	}
}
