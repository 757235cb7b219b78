package cli

import (
	"os"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gpu/weir/kube/watch"
)

// Clients talk to a cluster: Kube in protobuf to what Kubernetes has itself,
// Weir in JSON to Weir's own kinds, and Dynamic to everything else, which
// Mapper finds.
type Clients struct {
	Kube    kubernetes.Interface
	Weir    rest.Interface
	Dynamic dynamic.Interface
	Mapper  meta.RESTMapper
}

// Connect makes the clients for a cluster. There is no client-side rate limit:
// one command is one person.
func Connect(config *rest.Config) (Clients, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.UserAgent = "weir"
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return Clients{}, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return Clients{}, err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Clients{}, err
	}
	weir, err := watch.WeirClient(config)
	if err != nil {
		return Clients{}, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	return Clients{Kube: kube, Weir: weir, Dynamic: dyn, Mapper: mapper}, nil
}

// config reads the kubeconfig as kubectl does. Where there is none at all, it
// takes the one of a local `weir up`.
func (s *session) config() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = s.kubeconfig
	if s.kubeconfig == "" && !anyExists(rules.Precedence) && s.parts.LocalKubeconfig != nil {
		if local := s.parts.LocalKubeconfig(); anyExists([]string{local}) {
			rules.ExplicitPath = local
		}
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: s.kubecontext}
	overrides.Context.Namespace = s.namespace
	overrides.Timeout = "0"
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

func anyExists(paths []string) bool {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return false
}

// connect returns the clients and the namespace that is meant.
func (s *session) connect() (Clients, string, error) {
	config := s.config()
	rc, err := config.ClientConfig()
	if err != nil {
		return Clients{}, "", err
	}
	namespace, _, err := config.Namespace()
	if err != nil {
		return Clients{}, "", err
	}
	connect := s.parts.Connect
	if connect == nil {
		connect = Connect
	}
	clients, err := connect(rc)
	return clients, namespace, err
}
