package cluster

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	apicompatibility "k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/weir-gpu/weir/cluster/pki"
	_ "github.com/weir-gpu/weir/cluster/quiet"
)

// apiServerFlags are the settings of the API server, with the reason where
// one is not obvious.
func apiServerFlags(files pki.Files, etcdEndpoint string) map[string]string {
	return map[string]string{
		"etcd-servers":                     etcdEndpoint,
		"client-ca-file":                   files.CACert,
		"token-auth-file":                  files.AdminTokens,
		"tls-cert-file":                    files.ServerCert,
		"tls-private-key-file":             files.ServerKey,
		"service-account-key-file":         files.ServiceAccountCert,
		"service-account-signing-key-file": files.ServiceAccountKey,
		"service-account-issuer":           "https://kubernetes.default.svc.cluster.local",
		"service-cluster-ip-range":         "10.0.0.0/16",
		"authorization-mode":               "RBAC",
		"anonymous-auth":                   "false",
		"allow-privileged":                 "true",

		// Simulated nodes, whose own addresses lead nowhere, have their kubelets
		// at the DNS name localhost; few other nodes have one.
		"kubelet-preferred-address-types": "InternalDNS,Hostname,InternalIP,ExternalDNS,ExternalIP",
		"kubelet-client-certificate":      files.AdminCert,
		"kubelet-client-key":              files.AdminKey,

		// A Service cannot have an endpoint on the loopback interface.
		"endpoint-reconciler-type": "none",

		// ServiceAccount would mount a token into every pod and refuse pods in
		// a namespace until its account is there. No container runs on a
		// simulated node to read the token.
		// TaintNodesByCondition would start every node with a taint that the
		// node controller then has to take away, one write for each.
		"disable-admission-plugins": "ServiceAccount,TaintNodesByCondition",

		// All clients are this user's own: nobody has to be kept from flooding.
		"enable-priority-and-fairness":   "false",
		"max-requests-inflight":          "4000",
		"max-mutating-requests-inflight": "2000",
	}
}

// apiServer is a running kube-apiserver.
type apiServer struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // valid once done is closed
}

func startAPIServer(listener net.Listener, flags map[string]string) (*apiServer, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &apiServer{stop: stop, done: make(chan struct{})}
	run, err := prepareAPIServer(ctx, listener, flags)
	if err != nil {
		stop()
		return nil, fmt.Errorf("prepare kube-apiserver: %w", err)
	}
	go func() {
		defer close(s.done)
		s.err = run(ctx)
	}()
	return s, nil
}

func (s *apiServer) shutdown() error {
	s.stop()
	<-s.done
	return s.err
}

func prepareAPIServer(
	ctx context.Context, l net.Listener, flags map[string]string,
) (run func(context.Context) error, err error) {
	opts := options.NewServerRunOptions()
	registry := basecompatibility.NewComponentGlobalsRegistry()
	version := release{apicompatibility.DefaultBuildEffectiveVersion()}
	gates := utilfeature.DefaultMutableFeatureGate
	if err := registry.Register(basecompatibility.DefaultKubeComponent, version, gates); err != nil {
		return nil, err
	}
	opts.GenericServerRunOptions.ComponentGlobalsRegistry = registry

	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, named := range opts.Flags().FlagSets {
		set.AddFlagSet(named)
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if err := set.Set(name, flags[name]); err != nil {
			return nil, fmt.Errorf("flag --%s=%s of kube-apiserver: %w", name, flags[name], err)
		}
	}
	opts.SecureServing.Listener = l
	opts.SecureServing.BindAddress = net.IPv4(127, 0, 0, 1)
	opts.SecureServing.BindPort = l.Addr().(*net.TCPAddr).Port
	if err := registry.Set(); err != nil {
		return nil, err
	}

	completed, err := opts.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	ready, err := config.Complete()
	if err != nil {
		return nil, err
	}
	server, err := app.CreateServerChain(ready)
	if err != nil {
		return nil, err
	}
	// Watches of clients that stay must not hold up the end.
	server.GenericAPIServer.ShutdownTimeout = 2 * time.Second
	prepared, err := server.PrepareRun()
	if err != nil {
		return nil, err
	}
	return prepared.Run, nil
}
