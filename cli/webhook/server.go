// Package webhook serves Weir's admission webhook for a cluster: it follows
// what admission has to know (projects, pools, rules, claims, how large the
// nodes are), and answers the API server over TLS.
//
// What is refused and why is decided by kube/admit; nothing is here. Pods are
// not followed: admission looks at each when it comes.
package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/kube/workload"
)

// Server answers admission reviews. It is ready once it has seen the cluster.
type Server struct {
	log     *slog.Logger
	kube    kubernetes.Interface
	weir    rest.Interface // of Weir's own kinds; nil in tests without them
	feed    *watch.Feed
	handler http.Handler
	ready   atomic.Bool
	moved   chan struct{} // what the registration depends on has changed

	mu          sync.Mutex
	state       *state.State
	departments map[string]*v1alpha1.Department
	projects    map[string]*v1alpha1.Project
	pools       map[string]bool
	room        room
}

// followed are the kinds of Kubernetes itself that admission looks at.
var followed = []string{"namespaces", "nodes", "resourceslices", "resourceclaims", "resourceclaimtemplates"}

// New returns a server that follows the cluster once it is run.
func New(config *rest.Config, log *slog.Logger) (*Server, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.UserAgent = -1, "weir-webhook"
	weir, err := watch.WeirClient(config)
	if err != nil {
		return nil, err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType + ",application/json"
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	sources := watch.Weir(weir)
	for _, s := range watch.Cluster(kube) {
		if slices.Contains(followed, s.Name) {
			sources = append(sources, s)
		}
	}
	s := newServer(log, kube)
	s.weir, s.feed = weir, watch.New(log, sources...)
	return s, nil
}

// newServer returns a server that has seen nothing.
func newServer(log *slog.Logger, kube kubernetes.Interface) *Server {
	s := &Server{
		log: log, kube: kube, moved: make(chan struct{}, 1), state: state.New(state.Config{}),
		departments: map[string]*v1alpha1.Department{},
		projects:    map[string]*v1alpha1.Project{},
		pools:       map[string]bool{v1alpha1.DefaultPool: true},
		room:        room{},
	}
	s.handler = admit.Handler(s.config(admit.NewTemplates(kube.ResourceV1())))
	return s
}

// config lets admission look at what the server has seen.
func (s *Server) config(templates *admit.Templates) admit.Config {
	return admit.Config{
		ProjectOf: func(namespace string) string { return locked(s, func() string { return s.state.ProjectOf(namespace) }) },
		Owners:    s.owners,
		Look:      s.look,
		NodePools: func() []string { return locked(s, func() []string { return sortedKeys(s.pools) }) },
		Overlaps:  s.overlaps,
		Room:      func() admit.Room { return locked(s, s.room.sum) },
		Rule: func(gk schema.GroupKind) *workload.Rule {
			return locked(s, func() *workload.Rule { return s.state.Rules().For(gk) })
		},
		Claims:    s,
		Templates: templates,
		Log:       s.log,
	}
}

// soon bounds a look at the API server, which itself waits for the answer to the
// review, two seconds at the least.
const soon = time.Second

// look finds one of Weir's objects at the API server itself.
func (s *Server) look(ctx context.Context, resource, name string, into runtime.Object) bool {
	if s.weir == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	return s.weir.Get().Resource(resource).Name(name).Do(ctx).Into(into) == nil
}

func locked[T any](s *Server, read func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return read()
}

// Claim finds a claim that a pod refers to.
func (s *Server) Claim(namespace, name string) *resourcev1.ResourceClaim {
	return locked(s, func() *resourcev1.ResourceClaim { return s.state.Claim(namespace, name) })
}

// Template finds a claim template that a pod refers to.
func (s *Server) Template(namespace, name string) *resourcev1.ResourceClaimTemplate {
	return locked(s, func() *resourcev1.ResourceClaimTemplate { return s.state.Template(namespace, name) })
}

// scope is what the registration depends on.
func (s *Server) scope() admit.Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	scope := admit.Scope{Makers: s.state.Rules().Kinds()}
	for _, p := range s.projects {
		scope.Mapped = append(scope.Mapped, p.NamespaceNames()...)
	}
	return scope
}

// overlaps says which nodes of a pool other pools select too.
func (s *Server) overlaps(p *v1alpha1.NodePool) []string {
	var all []string
	for _, o := range locked(s, func() []state.Overlap { return s.state.Overlaps(p) }) {
		if o.Pool < p.Name {
			all = append(all, o.Lost())
		} else {
			all = append(all, o.Won())
		}
	}
	return all
}

func (s *Server) owners() ([]v1alpha1.Department, []v1alpha1.Project) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var departments []v1alpha1.Department
	for _, name := range sortedKeys(s.departments) {
		departments = append(departments, *s.departments[name])
	}
	var projects []v1alpha1.Project
	for _, name := range sortedKeys(s.projects) {
		projects = append(projects, *s.projects[name])
	}
	return departments, projects
}

// ServeHTTP answers one review, or that it is too early to.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.ready.Load() {
		http.Error(w, "weir has not seen the cluster yet; try again in a moment", http.StatusServiceUnavailable)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// Ready reports whether the cluster has been seen.
func (s *Server) Ready() bool { return s.ready.Load() }

// move says that the registration may have to change.
func (s *Server) move() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// Follow follows the cluster until ctx ends.
func (s *Server) Follow(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { s.feed.Run(ctx) })
	if err := s.feed.Synced(ctx); err != nil {
		return nil //nolint:nilerr // it fails only when ctx has ended
	}
	s.absorb(s.feed.Take())
	s.ready.Store(true)
	s.move()
	for {
		select {
		case <-s.feed.Ready():
			s.absorb(s.feed.Take())
		case <-ctx.Done():
			return nil
		}
	}
}

// Serve answers at the listener until ctx ends. The certificate is asked for
// at each connection, so that it can be renewed.
func (s *Server) Serve(ctx context.Context, l net.Listener, certificate func() (*tls.Certificate, error)) error {
	mux := http.NewServeMux()
	mux.Handle(admit.Path, s)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{
			MinVersion:     tls.VersionTLS13,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
		},
	}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(grace) // what it cuts off, the API server asks again
	})
	defer stop()
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admission webhook at %s: %w", l.Addr(), err)
	}
	return nil
}
