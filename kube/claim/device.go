package claim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// The attributes of a device in a ResourceSlice.
const (
	AttributeModel = "model"
	AttributeUUID  = "uuid"
)

// TaintUnhealthy is the key of the taint on devices that take no new pods.
const TaintUnhealthy = ask.Driver + "/unhealthy"

// TaintLost is the key of the taint on devices that are gone for those, too, who
// run there: Kubernetes stops them (the device taint eviction controller, which
// is on since 1.36).
const TaintLost = ask.Driver + "/lost"

// Lost is that taint.
func Lost() resourcev1.DeviceTaint {
	return resourcev1.DeviceTaint{Key: TaintLost, Effect: resourcev1.DeviceTaintEffectNoExecute}
}

const mib = 1 << 20

// perSlice is how many devices one slice can hold when some are tainted.
const perSlice = resourcev1.ResourceSliceMaxDevicesWithAdvancedFeatures

// Class returns the DeviceClass of Weir's devices. Through it, pods that ask
// for nvidia.com/gpu are served on nodes whose devices are published by
// [Slices].
func Class() *resourcev1.DeviceClass {
	return &resourcev1.DeviceClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: resourcev1.SchemeGroupVersion.String(), Kind: "DeviceClass"},
		ObjectMeta: metav1.ObjectMeta{Name: ask.Driver},
		Spec: resourcev1.DeviceClassSpec{
			Selectors: []resourcev1.DeviceSelector{{
				CEL: &resourcev1.CELDeviceSelector{Expression: fmt.Sprintf("device.driver == %q", ask.Driver)},
			}},
			ExtendedResourceName: new(ask.WholeGPU),
		},
	}
}

// Slices returns the ResourceSlices by which a node publishes its devices.
// generation has to grow with every change. They are owned by the node, so
// that they go when it goes.
func Slices(node string, nodeUID types.UID, generation int64, devices []sched.Device) []*resourcev1.ResourceSlice {
	count := max(1, (len(devices)+perSlice-1)/perSlice)
	slices := make([]*resourcev1.ResourceSlice, count)
	for i := range slices {
		part := devices[i*perSlice : min(len(devices), (i+1)*perSlice)]
		slices[i] = slice(node, nodeUID, i, part)
		slices[i].Spec.Pool = resourcev1.ResourcePool{
			Name: node, Generation: generation, ResourceSliceCount: int64(count),
		}
	}
	return slices
}

func slice(node string, nodeUID types.UID, i int, devices []sched.Device) *resourcev1.ResourceSlice {
	s := &resourcev1.ResourceSlice{
		TypeMeta:   metav1.TypeMeta{APIVersion: resourcev1.SchemeGroupVersion.String(), Kind: "ResourceSlice"},
		ObjectMeta: metav1.ObjectMeta{Name: sliceName(node, i)},
		Spec:       resourcev1.ResourceSliceSpec{Driver: ask.Driver, NodeName: &node},
	}
	if nodeUID != "" {
		s.OwnerReferences = []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: node, UID: nodeUID, Controller: new(true)},
		}
	}
	for _, d := range devices {
		s.Spec.Devices = append(s.Spec.Devices, Published(d, "GPU-"+named(node, d.Name)))
	}
	return s
}

// sliceName returns a name that is the node's where there is room for it.
func sliceName(node string, i int) string {
	suffix := fmt.Sprintf("-%s-%d", ask.Driver, i)
	if len(node)+len(suffix) > 253 {
		node = uuid.NewSHA1(uuid.NameSpaceURL, []byte(node)).String()
	}
	return node + suffix
}

// Published is a device as a slice shows it, with its universal name.
func Published(d sched.Device, uuid string) resourcev1.Device {
	out := resourcev1.Device{
		Name: d.Name,
		Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{
			AttributeModel: {StringValue: &d.Model},
			AttributeUUID:  {StringValue: &uuid},
		},
		Capacity: map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{
			ask.CapacityMemory:  {Value: memoryQuantity(d.MemoryMiB)},
			ask.CapacityCompute: {Value: computeQuantity(d.ComputeMilli)},
		},
		AllowMultipleAllocations: new(true),
	}
	if d.Unhealthy {
		out.Taints = []resourcev1.DeviceTaint{{Key: TaintUnhealthy, Effect: resourcev1.DeviceTaintEffectNoSchedule}}
	}
	return out
}

// named returns a UUID that is the same for the same words.
func named(words ...string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(ask.Driver+"/"+strings.Join(words, "/"))).String()
}

func memoryQuantity(v int64) resource.Quantity {
	return *resource.NewQuantity(v*mib, resource.BinarySI)
}
func computeQuantity(v int64) resource.Quantity { return *resource.NewQuantity(v, resource.DecimalSI) }

// ErrIncomplete says that some of a node's slices have not arrived. What was
// known before still holds until they have.
var ErrIncomplete = errors.New("the node's ResourceSlices are being replaced")

// Devices reads the devices of one node from its slices, in the order of the
// slices. Slices of other drivers and older generations are passed over.
// Devices that cannot be read are left out, and the error says why.
func Devices(slices []*resourcev1.ResourceSlice) ([]sched.Device, error) {
	current, err := newest(slices)
	if err != nil {
		return nil, err
	}
	var devices []sched.Device
	var errs []error
	seen := map[string]bool{}
	for _, s := range current {
		for i := range s.Spec.Devices {
			d, err := device(&s.Spec.Devices[i])
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("ResourceSlice %s: device %s: %w", s.Name, s.Spec.Devices[i].Name, err))
			case seen[d.Name]:
				errs = append(errs, fmt.Errorf("ResourceSlice %s: device %s is listed twice; list it once", s.Name, d.Name))
			default:
				seen[d.Name] = true
				devices = append(devices, d)
			}
		}
	}
	return devices, errors.Join(errs...)
}

// newest returns the slices of the highest generation, or ErrIncomplete.
func newest(slices []*resourcev1.ResourceSlice) ([]*resourcev1.ResourceSlice, error) {
	var current []*resourcev1.ResourceSlice
	for _, s := range slices {
		if s.Spec.Driver != ask.Driver {
			continue
		}
		if len(current) > 0 {
			if g := current[0].Spec.Pool.Generation; s.Spec.Pool.Generation < g {
				continue
			} else if s.Spec.Pool.Generation > g {
				current = nil
			}
		}
		current = append(current, s)
	}
	if len(current) > 0 && int64(len(current)) != current[0].Spec.Pool.ResourceSliceCount {
		return nil, ErrIncomplete
	}
	return current, nil
}

// device reads one device. What it publishes as usable counts, rounded down to
// whole MiB; any taint that keeps pods off makes it unhealthy.
func device(d *resourcev1.Device) (sched.Device, error) {
	out := sched.Device{Name: d.Name, ComputeMilli: sched.WholeCompute}
	if m, ok := d.Attributes[AttributeModel]; ok && m.StringValue != nil {
		out.Model = *m.StringValue
	}
	memory, ok := capacity(d, ask.CapacityMemory)
	if !ok {
		return sched.Device{}, errors.New("capacity memory is missing or negative; publish the usable bytes")
	}
	out.MemoryMiB = memory / mib
	if _, stated := d.Capacity[ask.CapacityCompute]; stated {
		if out.ComputeMilli, ok = capacity(d, ask.CapacityCompute); !ok {
			return sched.Device{}, errors.New("capacity compute is negative; publish 1000 for a whole device")
		}
	}
	for _, t := range d.Taints {
		if t.Effect == resourcev1.DeviceTaintEffectNoSchedule || t.Effect == resourcev1.DeviceTaintEffectNoExecute {
			out.Unhealthy = true
		}
	}
	return out, nil
}

// capacity returns a capacity in whole units, rounded down.
func capacity(d *resourcev1.Device, name resourcev1.QualifiedName) (int64, bool) {
	c, ok := d.Capacity[name]
	if !ok || c.Value.Sign() < 0 {
		return 0, false
	}
	v := c.Value.Value()
	if c.Value.CmpInt64(v) < 0 {
		v--
	}
	return v, v >= 0
}
