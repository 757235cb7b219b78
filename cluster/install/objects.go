package install

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/workload"
)

// Where Weir runs, and what its own objects there are called.
const (
	Namespace  = admit.Namespace
	Name       = "weir"
	SecretName = "weir-webhook"
)

// The ports of Weir's pods.
const (
	webhookPort = 9443
	metricsPort = 8080
)

// Options are what differs between installations.
type Options struct {
	Image      string // of the weir binary
	Replicas   int32
	AgentImage string // of the node agent, with the shim; "" for no agents
}

// Object is one object of an installation.
type Object interface {
	metav1.Object
	runtime.Object
}

// Objects returns what a cluster needs for Weir to run in it, beside the
// definitions of Weir's kinds (package crds), in the order in which it can be
// created.
func Objects(o Options) []Object {
	scope := admit.Scope{Makers: workload.Builtin().Kinds()}
	at := admit.Endpoint{Service: &admissionregistrationv1.ServiceReference{
		Namespace: Namespace, Name: Name, Path: new(admit.Path), Port: new(int32(443)),
	}}
	objects := []Object{
		namespace(),
		&corev1.ServiceAccount{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: about(Name, Namespace),
		},
		clusterRole(Name, weirRules()), boundEverywhere(Name),
		adding(labelKinds, clusterRole("weir-builtin-kinds", kindRules())),
		madeOf("weir-kinds", labelKinds), boundEverywhere("weir-kinds"),
		ownRole(), boundHere(),
		adding(labelRead, clusterRole("weir-read", readRules())),
		madeOf("weir-user", labelRead, labelKinds),
		clusterRole("weir-admin", adminRules()),
		claim.Class(),
		secret(), service(), deployment(o), budget(),
		admit.Mutating(at, scope), admit.Validating(at, scope),
	}
	if o.AgentImage != "" {
		objects = append(objects, agentObjects(o.AgentImage)...)
	}
	for _, obj := range objects {
		obj.SetLabels(withOurs(obj.GetLabels()))
	}
	return objects
}

// ours are the labels of everything that belongs to the installation. Weir's
// pods carry nothing that begins with weir.dev/: such pods wait for Weir.
func ours() map[string]string { return map[string]string{"app.kubernetes.io/name": Name} }

func withOurs(labels map[string]string) map[string]string {
	all := ours()
	for k, v := range labels {
		all[k] = v
	}
	return all
}

func about(name, namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: ours()}
}

func namespace() *corev1.Namespace {
	ns := &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: about(Namespace, ""),
	}
	ns.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	return ns
}

// secret takes the webhook's certificate. It is made empty, so that Weir needs
// no right to create secrets.
func secret() *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: about(SecretName, Namespace),
		Type:       corev1.SecretTypeOpaque,
	}
}

func service() *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: about(Name, Namespace),
		Spec: corev1.ServiceSpec{
			Selector: ours(),
			Ports: []corev1.ServicePort{
				{Name: "webhook", Port: 443, TargetPort: intstr.FromString("webhook")},
				{Name: "metrics", Port: metricsPort, TargetPort: intstr.FromString("metrics")},
			},
		},
	}
}

// budget keeps an instance running while nodes are drained.
func budget() *policyv1.PodDisruptionBudget {
	one := intstr.FromInt32(1)
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "PodDisruptionBudget"},
		ObjectMeta: about(Name, Namespace),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &one,
			Selector:       &metav1.LabelSelector{MatchLabels: ours()},
		},
	}
}

func deployment(o Options) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: about(Name, Namespace),
		Spec: appsv1.DeploymentSpec{
			Replicas: &o.Replicas,
			Selector: &metav1.LabelSelector{MatchLabels: ours()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: ours()},
				Spec: corev1.PodSpec{
					ServiceAccountName: Name,
					PriorityClassName:  "system-cluster-critical",
					SecurityContext: &corev1.PodSecurityContext{
						RunAsNonRoot:   new(true),
						SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
					},
					TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
						MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
						LabelSelector: &metav1.LabelSelector{MatchLabels: ours()},
					}},
					Containers: []corev1.Container{container(o.Image)},
				},
			},
		},
	}
}

func container(image string) corev1.Container {
	probe := func(path string) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("metrics")},
			},
			PeriodSeconds: 5, TimeoutSeconds: 5,
		}
	}
	return corev1.Container{
		Name:  Name,
		Image: image,
		Args: []string{
			"scheduler",
			"--lease-namespace=" + Namespace,
			"--webhook-address=:9443",
			"--webhook-service=" + Namespace + "/" + Name,
			"--tls-secret=" + Namespace + "/" + SecretName,
			"--log-format=json",
		},
		// The garbage collector keeps below the limit of memory.
		Env: []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: "3600MiB"}},
		Ports: []corev1.ContainerPort{
			{Name: "webhook", ContainerPort: webhookPort}, {Name: "metrics", ContainerPort: metricsPort},
		},
		LivenessProbe:  probe("/healthz"),
		ReadinessProbe: probe("/readyz"),
		// API servers still call for a moment after the pod is no longer listed.
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("512Mi"),
			},
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("4Gi")},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}
