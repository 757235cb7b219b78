package install

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The node agents have a namespace of their own: they are privileged, which
// nothing else of Weir is.
const (
	AgentNamespace = "weir-node"
	AgentName      = "weir-agent"
	// AgentLabel is on nodes whose GPUs the agent is to share.
	AgentLabel = "weir.dev/agent"
)

// agentObjects are what runs an agent on each node that has the label.
func agentObjects(image string) []Object {
	ns := &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: about(AgentNamespace, ""),
	}
	ns.Labels["pod-security.kubernetes.io/enforce"] = "privileged"
	policy, binding := ownSlices()
	return []Object{
		ns,
		&corev1.ServiceAccount{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: about(AgentName, AgentNamespace),
		},
		clusterRole(AgentName, agentRules()), agentBound(), policy, binding, agentSet(image),
	}
}

// agentRules is what an agent does in the cluster.
func agentRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		may("", []string{"nodes"}, "get"), // its own, which owns its slices
		may("", []string{"pods"}, "get"),  // which containers use a claim
		may("resource.k8s.io", []string{"resourceclaims"}, "get"),
		may("resource.k8s.io", []string{"resourceslices"}, "list", "watch", "get", "create", "update", "patch", "delete"),
	}
}

func agentBound() *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: about(AgentName, ""),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: AgentName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: AgentName, Namespace: AgentNamespace}},
	}
}

// ownSlices lets each agent write the slices of its own node only, which rights
// alone cannot say: who takes over a node shall not have those of others.
func ownSlices() (*admissionregistrationv1.ValidatingAdmissionPolicy,
	*admissionregistrationv1.ValidatingAdmissionPolicyBinding,
) {
	const version = "admissionregistration.k8s.io/v1"
	rule := admissionregistrationv1.Rule{
		APIGroups: []string{"resource.k8s.io"}, APIVersions: []string{"*"}, Resources: []string{"resourceslices"},
	}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: version, Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: about(AgentName, ""),
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: new(admissionregistrationv1.Fail),
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{"CREATE", "UPDATE", "DELETE"}, Rule: rule,
					},
				}},
			},
			MatchConditions: []admissionregistrationv1.MatchCondition{{
				Name:       "agents",
				Expression: `request.userInfo.username == "system:serviceaccount:` + AgentNamespace + ":" + AgentName + `"`,
			}},
			Variables: []admissionregistrationv1.Variable{
				{Name: "own", Expression: `request.userInfo.extra[?"authentication.kubernetes.io/node-name"][0].orValue("")`},
				{Name: "slice", Expression: `request.operation == "DELETE" ? oldObject : object`},
			},
			Validations: []admissionregistrationv1.Validation{{
				Expression:        `variables.own != "" && variables.slice.spec.?nodeName.orValue("") == variables.own`,
				MessageExpression: `"an agent writes the ResourceSlices of its own node, which is " + variables.own`,
			}},
		},
	}
	return policy, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: version, Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: about(AgentName, ""),
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        AgentName,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
}

// agentSet runs an agent on each node. It sees the node's processes, to tell
// who connects, and the node's files: the driver, the kubelet's folder, and
// where it says to the container runtime what containers are given.
func agentSet(image string) *appsv1.DaemonSet {
	labels := map[string]string{"app.kubernetes.io/name": AgentName}
	folders := []struct{ name, path string }{
		{"run", "/run/weir"}, {"kubelet", "/var/lib/kubelet"}, {"cdi", "/var/run/cdi"},
	}
	volumes := []corev1.Volume{{Name: "node", VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
	mounts := []corev1.VolumeMount{{Name: "node", MountPath: "/host", ReadOnly: true,
		MountPropagation: new(corev1.MountPropagationHostToContainer)}}
	for _, f := range folders {
		volumes = append(volumes, corev1.Volume{Name: f.name, VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: f.path, Type: new(corev1.HostPathDirectoryOrCreate)}}})
		mounts = append(mounts, corev1.VolumeMount{Name: f.name, MountPath: f.path})
	}
	return &appsv1.DaemonSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet"},
		ObjectMeta: about(AgentName, AgentNamespace),
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					ServiceAccountName: AgentName,
					PriorityClassName:  "system-node-critical",
					NodeSelector:       map[string]string{AgentLabel: "true"},
					Tolerations:        []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
					HostPID:            true,
					Containers: []corev1.Container{{
						Name:  AgentName,
						Image: image,
						Args:  []string{"agent", "--kubernetes", "--root=/host", "--log-format=json"},
						Env: []corev1.EnvVar{{Name: "NODE_NAME", ValueFrom: &corev1.EnvVarSource{
							FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}}},
						VolumeMounts:    mounts,
						SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
						Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
							corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
						}},
					}},
					Volumes: volumes,
				},
			},
		},
	}
}
