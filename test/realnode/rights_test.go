package realnode_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/realnode"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

// limitAgent gives the node's agent the rights that weir install gives to
// agents, and no others, from its next start on. It is started anew here, and
// has to publish its devices with them.
func (w *world) limitAgent() {
	w.Helper()
	for _, obj := range install.Objects(install.Options{AgentImage: "any"}) {
		if obj.GetName() == install.AgentNamespace || obj.GetName() == install.AgentName {
			if err := w.create(obj); err != nil {
				w.Fatal(err)
			}
		}
	}
	path := filepath.Join(w.dir, "node", "agent.kubeconfig")
	if err := w.lesser(path); err != nil {
		w.Fatal(err)
	}
	slices := w.kube.ResourceV1().ResourceSlices()
	if err := slices.DeleteCollection(w.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		w.Fatal(err)
	}
	w.kill("/run/node/weir agent ")
	w.eventually("the agent publishes its devices with its own rights", func() error {
		list, err := slices.List(w.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("there are %d slices", len(list.Items))
		}
		return err
	})

	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		w.Fatal(err)
	}
	lesser, err := kubernetes.NewForConfig(config)
	if err != nil {
		w.Fatal(err)
	}
	other := claim.Slices("other", "", 1, []sched.Device{{Name: "gpu-0", MemoryMiB: 1, ComputeMilli: 1000}})[0]
	w.eventually("it cannot write another node's", func() error { // the policy takes a moment to hold
		_, err := lesser.ResourceV1().ResourceSlices().Create(w.Context(), other, metav1.CreateOptions{})
		switch {
		case err == nil:
			return errors.Join(errors.New("it did"), slices.Delete(w.Context(), other.Name, metav1.DeleteOptions{}))
		case !strings.Contains(err.Error(), "own node, which is "+realnode.Name):
			return err
		}
		return nil
	})
}

// lesser writes a kubeconfig of the agents' account, with a token of the node.
func (w *world) lesser(path string) error {
	node, err := w.kube.CoreV1().Nodes().Get(w.Context(), realnode.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	token, err := w.kube.CoreV1().ServiceAccounts(install.AgentNamespace).CreateToken(w.Context(), install.AgentName,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID},
		}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	config, err := clientcmd.LoadFromFile(filepath.Join(w.dir, "kubeconfig"))
	if err != nil {
		return err
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	return clientcmd.WriteToFile(*config, path)
}

func (w *world) create(obj install.Object) (err error) {
	ctx, options := w.Context(), metav1.CreateOptions{}
	switch o := obj.(type) {
	case *corev1.Namespace:
		_, err = w.kube.CoreV1().Namespaces().Create(ctx, o, options)
	case *corev1.ServiceAccount:
		_, err = w.kube.CoreV1().ServiceAccounts(o.Namespace).Create(ctx, o, options)
	case *rbacv1.ClusterRole:
		_, err = w.kube.RbacV1().ClusterRoles().Create(ctx, o, options)
	case *rbacv1.ClusterRoleBinding:
		_, err = w.kube.RbacV1().ClusterRoleBindings().Create(ctx, o, options)
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		_, err = w.kube.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(ctx, o, options)
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		_, err = w.kube.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(ctx, o, options)
	}
	return err // the DaemonSet would start pods: that is the node's own work here
}
