package simnode

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	restclient "k8s.io/client-go/rest"
)

// kubeletServer is where the API server asks the kubelets of all nodes for
// their pods' logs. It answers nobody else: who asks has to show a certificate
// of the cluster's authority.
type kubeletServer struct {
	fleet    *Fleet
	listener net.Listener
	server   *http.Server
}

// serveKubelets opens the server, at the port of an earlier run if that is
// free, so that the nodes need not be told of another.
func (f *Fleet) serveKubelets(ctx context.Context) (*kubeletServer, error) {
	clients, err := authority(f.opts.Config)
	if err != nil {
		return nil, err
	}
	certificate, err := selfSigned(f.opts.Now())
	if err != nil {
		return nil, err
	}
	listener, err := listenAgain(f.lastPort(ctx))
	if err != nil {
		return nil, err
	}
	f.port = int32(listener.Addr().(*net.TCPAddr).Port)
	s := &kubeletServer{fleet: f, listener: listener}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	routes.HandleFunc("/", s.decline)
	s.server = &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{certificate},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    clients,
		},
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	return s, nil
}

// run serves until ctx is done.
func (s *kubeletServer) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.server.Close() })
	defer stop()
	if err := s.server.ServeTLS(s.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		s.fleet.opts.Logger.Warn("the logs of simulated pods cannot be read any more", "err", err)
	}
}

// decline answers what would need a container: exec, attach, port-forward.
func (s *kubeletServer) decline(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the node is simulated and runs no containers: nothing can be executed in them or connected to; "+
		"kubectl logs tells what a pod was granted", http.StatusNotImplemented)
}

// lastPort returns the port that the nodes of an earlier run name, or 0.
func (f *Fleet) lastPort(ctx context.Context) int32 {
	one := metav1.ListOptions{LabelSelector: Label + "=true", Limit: 1}
	list, err := f.client.CoreV1().Nodes().List(ctx, one)
	if err != nil || len(list.Items) == 0 {
		return 0
	}
	return list.Items[0].Status.DaemonEndpoints.KubeletEndpoint.Port
}

func listenAgain(port int32) (net.Listener, error) {
	at := func(port int32) (net.Listener, error) {
		return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	}
	if l, err := at(port); err == nil {
		return l, nil
	}
	return at(0)
}

// endpoint returns where the nodes say that their kubelets listen.
func (f *Fleet) endpoint() corev1.NodeDaemonEndpoints {
	return corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: f.port}}
}

// authority returns who signs the API server's own certificate as a client.
func authority(cfg *restclient.Config) (*x509.CertPool, error) {
	cfg = restclient.CopyConfig(cfg)
	if err := restclient.LoadTLSFiles(cfg); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cfg.CAData) {
		return nil, errors.New("simnode: Options.Config has no authority, by whose certificate the API server is known " +
			"to simulated kubelets: set TLSClientConfig.CAData, or leave Options.Logs out")
	}
	return pool, nil
}

// selfSigned makes a certificate for the loopback interface. API servers check
// kubelets' certificates only where they are told of an authority for them.
func selfSigned(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "simulated kubelets"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// logs writes what there is to tell of a container that does not exist.
func (s *kubeletServer) logs(w http.ResponseWriter, r *http.Request) {
	ctx, query := r.Context(), r.URL.Query()
	pod, err := s.fleet.client.CoreV1().Pods(r.PathValue("namespace")).Get(ctx, r.PathValue("pod"), metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	lines := s.fleet.tell(ctx, pod, r.PathValue("container"))
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil && tail >= 0 {
		lines = lines[max(0, len(lines)-tail):]
	}
	flush := http.NewResponseController(w)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	if query.Get("follow") != "true" || ended(pod) {
		return
	}
	_ = flush.Flush()
	if last := s.fleet.awaitEnd(ctx, pod); last != nil {
		fmt.Fprintln(w, lastLine(last))
	}
}

// glance is how often a log that is followed looks for the pod's end.
const glance = 500 * time.Millisecond

// awaitEnd returns the pod when it has ended, or nil when it is gone or nobody
// waits any more.
func (f *Fleet) awaitEnd(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		obj, ok, err := f.pods.GetStore().GetByKey(pod.Namespace + "/" + pod.Name)
		if err != nil || !ok {
			return nil
		}
		now := obj.(*corev1.Pod)
		switch {
		case now.UID != pod.UID:
			return nil
		case ended(now):
			return now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func lastLine(pod *corev1.Pod) string {
	code := int32(0)
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			code = cmp.Or(code, c.State.Terminated.ExitCode)
		}
	}
	return fmt.Sprintf("It ended with exit code %d.", code)
}
