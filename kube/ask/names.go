package ask

// SchedulerName is spec.schedulerName of the pods that Weir places.
const SchedulerName = "weir"

// DefaultScheduler is what the API server writes into spec.schedulerName when
// the user wrote nothing.
const DefaultScheduler = "default-scheduler"

// Lease is the name of the lease by which schedulers agree who decides.
const Lease = "weir-scheduler"

// Driver is the name of Weir's DRA driver, and of the DeviceClass that stands
// for its devices.
const Driver = "gpu.weir.dev"

// WholeGPU is the extended resource by which whole GPUs are asked for.
const WholeGPU = "nvidia.com/gpu"

// Prefix begins all of Weir's annotations and labels.
const Prefix = "weir.dev/"

// The words for a share of a GPU. They stand on the pod, as annotations or
// labels; an annotation wins over a label.
const (
	GPUFraction      = "weir.dev/gpu-fraction"       // "0.5"
	GPUFractionLimit = "weir.dev/gpu-fraction-limit" // "0.8"
	GPUMemory        = "weir.dev/gpu-memory"         // "10Gi"; a plain number is MiB
	GPUMemoryLimit   = "weir.dev/gpu-memory-limit"
	GPUCompute       = "weir.dev/gpu-compute" // "0.3" of a device's compute
	GPUComputeLimit  = "weir.dev/gpu-compute-limit"
	GPUDevices       = "weir.dev/gpu-devices"   // "2": that share of each of two devices
	GPUModels        = "weir.dev/gpu-models"    // "A100,H100"; also beside whole GPUs
	GPUContainer     = "weir.dev/gpu-container" // which container gets the share; default the first
	// GPUIdleMemory is what a node may do with the share's memory while the pod
	// does nothing with it: keep it, or "lend" it.
	GPUIdleMemory = "weir.dev/gpu-idle-memory"
)

// The spellings that users of other schedulers already have.
const (
	oldFraction  = "gpu-fraction"
	oldMemory    = "gpu-memory"
	oldDevices   = "gpu-fraction-num-devices"
	oldContainer = "gpu-fraction-container-name"
)

// The words about a workload. They stand on the owner or on its pods.
const (
	Project     = "weir.dev/project"
	NodePool    = "weir.dev/node-pool" // "a,b": in order of preference
	Kind        = "weir.dev/kind"      // build, train or infer
	Preemptible = "weir.dev/preemptible"
	Priority    = "weir.dev/priority"
	MinPods     = "weir.dev/min-pods"
	MinRuntime  = "weir.dev/min-runtime" // "5m"
	MaxMoves    = "weir.dev/max-moves"
	Runtime     = "weir.dev/expected-runtime" // "2h"
	Suspend     = "weir.dev/suspend"
)

// ClaimRef is the name, within a pod, of the claim that admission adds for the
// share that the pod's words ask for.
const ClaimRef = "weir-gpu"

// DeviceRequest is the name of the one request in the claims Weir makes.
const DeviceRequest = "gpu"

// The capacities of a device of [Driver].
const (
	CapacityMemory  = "memory"  // bytes
	CapacityCompute = "compute" // milli: 1000 is a whole device
)

// aliases maps a word to the other spelling that is accepted for it.
var aliases = map[string]string{
	GPUFraction:  oldFraction,
	GPUMemory:    oldMemory,
	GPUDevices:   oldDevices,
	GPUContainer: oldContainer,
}

// shareWords are the words that ask for a share, in the order of reporting.
var shareWords = []string{
	GPUFraction, GPUFractionLimit, GPUMemory, GPUMemoryLimit,
	GPUCompute, GPUComputeLimit, GPUDevices,
}

// vocabulary is all the words that people write.
var vocabulary = append([]string{
	GPUModels, GPUContainer, GPUIdleMemory,
	Project, NodePool, Kind, Preemptible, Priority, MinPods, MinRuntime, MaxMoves, Runtime, Suspend,
}, shareWords...)
