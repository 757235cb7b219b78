package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/sched"
)

func server() *Server {
	return newServer(slog.New(slog.DiscardHandler), fake.NewClientset())
}

func node(name, gpus string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"nvidia.com/gpu.memory": "81559"}},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{ask.WholeGPU: resource.MustParse(gpus)},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

func TestAdmissionKnowsWhatTheClusterHas(t *testing.T) {
	s := server()
	project := &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "vision"}}
	project.Spec.Namespaces = []string{"ml"}
	s.absorb([]watch.Change{
		{Object: node("n1", "4")}, {Object: node("n2", "8")}, {Object: node("n3", "2")},
		{Object: node("n3", "2"), Gone: true},
		{Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}}},
		{Object: &v1alpha1.Department{ObjectMeta: metav1.ObjectMeta{Name: "research"}}},
		{Object: project},
		{Object: &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "old"}}},
	})
	cfg := s.config(nil)
	if got := cfg.ProjectOf("ml"); got != "vision" {
		t.Errorf("namespace ml is of project %q", got)
	}
	if got, want := cfg.Room(), (admit.Room{Devices: 12, OnOneNode: 8, OnePod: 8, MemoryMiB: 81559}); got != want {
		t.Errorf("room %+v, want %+v", got, want)
	}
	if departments, projects := cfg.Owners(); len(departments) != 1 || len(projects) != 1 {
		t.Errorf("%d departments and %d projects", len(departments), len(projects))
	}
	if got := cfg.NodePools(); !slices.Equal(got, []string{"default", "old"}) {
		t.Errorf("pools %q", got)
	}
	pool := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "all"}}
	pool.Spec.NodeSelector = map[string]string{"nvidia.com/gpu.memory": "81559"}
	s.absorb([]watch.Change{{Object: pool}})
	other := pool.DeepCopy()
	other.Name = "every"
	if got := cfg.Overlaps(other); len(got) != 1 || !strings.HasPrefix(got[0],
		"2 nodes that it selects, such as n1, belong to pool all, which selects them too") {
		t.Errorf("of a pool with the nodes of another it is said %q", got)
	}
	if got := cfg.Overlaps(pool); len(got) != 0 {
		t.Errorf("a pool overlaps with itself: %q", got)
	}
	s.absorb([]watch.Change{{Object: project, Gone: true}})
	if got := cfg.ProjectOf("ml"); got != "" {
		t.Errorf("namespace ml is still of project %q", got)
	}
}

func TestServesOverTLSOnceReady(t *testing.T) {
	s := server()
	file := certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener, file.Load) }()

	roots := x509.NewCertPool()
	raw, err := os.ReadFile(file.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(raw)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	post := func() (int, string) {
		resp, err := client.Post("https://"+listener.Addr().String()+admit.Path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, body := post(); code != http.StatusServiceUnavailable || !strings.Contains(body, "not seen the cluster yet") {
		t.Errorf("before it is ready: %d %s", code, body)
	}
	s.ready.Store(true)
	if code, body := post(); code != http.StatusBadRequest {
		t.Errorf("an empty review: %d %s", code, body)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestRenewedCertificateIsRead(t *testing.T) {
	file := certificate(t)
	first, err := file.Load()
	if err != nil {
		t.Fatal(err)
	}
	renewed := certificate(t)
	for from, to := range map[string]string{renewed.Certificate: file.Certificate, renewed.Key: file.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(file.Certificate, later, later); err != nil {
		t.Fatal(err)
	}
	second, err := file.Load()
	if err != nil || slices.Equal(first.Certificate[0], second.Certificate[0]) {
		t.Errorf("the first certificate is still used: %v", err)
	}
	if err := os.Remove(file.Certificate); err != nil {
		t.Fatal(err)
	}
	if last, err := file.Load(); err != nil || last != second {
		t.Errorf("while it is replaced the last one has to serve: %v", err)
	}
	if _, err := (&File{Certificate: "none", Key: "none"}).Load(); err == nil {
		t.Error("a certificate that is not there was read")
	}
}

// certificate makes a certificate for 127.0.0.1 in files.
func certificate(t *testing.T) *File {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := &File{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	for path, block := range map[string]*pem.Block{
		f.Certificate: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// A claim holds 32 devices at most, however many a node publishes; a count node
// gives what it has.
func TestOnePodHasNoMoreThanAClaimHolds(t *testing.T) {
	devices := make([]sched.Device, 40)
	r := room{}
	r.apply(sched.NodeSet{Node: sched.Node{Name: "exact", Devices: devices}})
	if got := r.sum(); got.OnePod != 32 || got.OnOneNode != 40 {
		t.Errorf("with exact devices: %+v", got)
	}
	r.apply(sched.NodeSet{Node: sched.Node{Name: "counted", Devices: devices, Counted: true}})
	if got := r.sum(); got.OnePod != 40 {
		t.Errorf("with a count node beside: %+v", got)
	}
}
