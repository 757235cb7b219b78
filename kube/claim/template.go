package claim

import (
	"encoding/json"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/kube/ask"
)

// Template returns the ResourceClaimTemplate that stands, in a namespace, for
// all pods whose words ask for the shape. Its name follows from the shape, so
// that it is made once however many pods there are.
func Template(namespace string, s ask.Shape) *resourcev1.ResourceClaimTemplate {
	return &resourcev1.ResourceClaimTemplate{
		TypeMeta: metav1.TypeMeta{
			APIVersion: resourcev1.SchemeGroupVersion.String(), Kind: "ResourceClaimTemplate",
		},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.TemplateName()},
		Spec:       resourcev1.ResourceClaimTemplateSpec{Spec: Spec(s)},
	}
}

// Spec returns the claim for a shape. The part is said in the opaque
// parameters; where it is an exact amount it is also said as a capacity
// request, which any reader of claims understands.
func Spec(s ask.Shape) resourcev1.ResourceClaimSpec {
	request := &resourcev1.ExactDeviceRequest{
		DeviceClassName: ask.Driver,
		AllocationMode:  resourcev1.DeviceAllocationModeExactCount,
		Count:           int64(s.Devices),
		Capacity:        capacityRequests(s),
	}
	spec := resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{
		Requests: []resourcev1.DeviceRequest{{Name: ask.DeviceRequest, Exactly: request}},
	}}
	if config, ok := s.Config(); ok {
		spec.Devices.Config = []resourcev1.DeviceClaimConfiguration{
			{DeviceConfiguration: opaque(config)},
		}
	}
	return spec
}

func capacityRequests(s ask.Shape) *resourcev1.CapacityRequirements {
	c := &resourcev1.CapacityRequirements{Requests: quantities{}}
	if s.Part.MemoryMiB > 0 {
		c.Requests[ask.CapacityMemory] = memoryQuantity(s.Part.MemoryMiB)
	}
	if s.Part.ComputeMilli > 0 {
		c.Requests[ask.CapacityCompute] = computeQuantity(s.Part.ComputeMilli)
	}
	if len(c.Requests) == 0 {
		return nil
	}
	return c
}

// opaque wraps parameters for Weir's driver.
func opaque(parameters any) resourcev1.DeviceConfiguration {
	raw, err := json.Marshal(parameters)
	if err != nil {
		panic("claim: parameters cannot be written: " + err.Error()) // plain data always can
	}
	return resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{
		Driver: ask.Driver, Parameters: runtime.RawExtension{Raw: raw},
	}}
}
