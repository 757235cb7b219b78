package live_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/live"
)

// through sends a scheduler's requests through a function.
func through(trip func(http.RoundTripper, *http.Request) (*http.Response, error)) func(*live.Options) {
	return func(o *live.Options) {
		o.Config = rest.CopyConfig(o.Config)
		o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return tripper(func(r *http.Request) (*http.Response, error) { return trip(next, r) })
		})
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

var errCut = errors.New("connection reset by the test")

// lost carries a request out and loses the answer.
func lost(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	response, err := next.RoundTrip(r)
	if err == nil {
		response.Body.Close()
	}
	return nil, errCut
}

// mixed submits pods of all sorts and returns their IDs.
func (w *world) mixed(n int) (ids []string) {
	half := w.share(pod("ml", "half", 0, ask.GPUFraction+"=0.5"))
	third := w.share(pod("ml", "third", 0, ask.GPUFraction+"=0.3"))
	var pods []*corev1.Pod
	for i := range n {
		var p *corev1.Pod
		switch i % 4 {
		case 0, 1:
			p = half.DeepCopy()
		case 2:
			p = third.DeepCopy()
		case 3:
			p = pod("ml", "", 1)
		}
		p.Name = fmt.Sprintf("m%d", i)
		pods = append(pods, p)
		ids = append(ids, "ml/"+p.Name)
	}
	w.each(n, func(i int) { w.submit(pods[i]) })
	return ids
}

// allBound waits until all pods are bound.
func (w *world) allBound(ids []string) {
	w.Helper()
	w.eventually(fmt.Sprintf("%d pods are bound", len(ids)), func() error {
		list, err := w.kube.CoreV1().Pods("ml").List(w.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		bound := 0
		for i := range list.Items {
			if list.Items[i].Spec.NodeName != "" {
				bound++
			}
		}
		if bound != len(ids) {
			return fmt.Errorf("%d are bound", bound)
		}
		return w.overGrant()
	})
}

// The size of the tests below; larger ones take minutes:
//
//	go test ./kube/live -run Killed -weir.kills 20 -weir.pods 2000
var (
	kills = flag.Int("weir.kills", 12, "how often the scheduler is killed")
	many  = flag.Int("weir.pods", 120, "how many pods are started meanwhile")
)

// faulty returns a cluster with room for that many pods of all sorts, which
// wait already.
func faulty(t *testing.T) (w *world, ids []string) {
	t.Helper()
	w = newWorld(t, append(nodes(*many/30, 4, true), nodes(*many/5, 4, false)...)...)
	w.project("ml", fmt.Sprint(*many))
	return w, w.mixed(*many)
}

func TestKilledAtAnyWrite(t *testing.T) {
	w, ids := faulty(t)
	for kill := range *kills {
		// After so many writes nothing more is sent. Requests that are under
		// way then are carried out, but their answers are lost.
		var left atomic.Int64
		left.Store(1 + rand.Int64N(int64(max(1, 4**many / *kills))))
		dead := make(chan struct{})
		_, stop := w.scheduler(through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				switch n := left.Add(-1); {
				case n == 0:
					defer close(dead)
					return lost(next, r)
				case n < 0:
					return nil, errCut
				}
			}
			return next.RoundTrip(r)
		}))
		select {
		case <-dead:
		case <-time.After(5 * time.Second): // nothing is left to do
		}
		stop()
		if err := w.overGrant(); err != nil {
			t.Fatalf("after kill %d: %v", kill, err)
		}
	}
	w.scheduler()
	w.allBound(ids)
	w.noOverGrant()
}

func TestAnswersThatAreLost(t *testing.T) {
	w, ids := faulty(t)
	w.scheduler(through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		switch n := rand.IntN(10); {
		case r.Method == http.MethodGet && strings.Contains(r.URL.RawQuery, "watch="):
		case n == 0:
			return nil, errCut
		case n == 1:
			return lost(next, r)
		}
		return next.RoundTrip(r)
	}))
	w.allBound(ids)
	w.noOverGrant()
}

func TestAPIServerThatIsAway(t *testing.T) {
	w := newWorld(t, nodes(2, 4, true)...)
	w.project("ml", "8")
	var away atomic.Bool
	away.Store(true)
	s, _ := w.scheduler(through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		if away.Load() {
			return nil, errCut
		}
		return next.RoundTrip(r)
	}))
	w.submit(pod("ml", "a", 1))
	time.Sleep(300 * time.Millisecond)
	if s.Ready() {
		t.Error("ready without an API server")
	}
	away.Store(false)
	w.bound("ml/a")
	if !s.Ready() {
		t.Error("not ready with an API server")
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	w := newWorld(t, nodes(1, 4, true)...)
	w.project("ml", "4")
	_, stop := w.scheduler(func(o *live.Options) { o.LeaderElect, o.Address = true, "127.0.0.1:0" })
	w.submit(pod("ml", "a", 1))
	w.bound("ml/a")
	stop()
	// The control plane lives in this process too, so that only our own
	// goroutines can be looked for.
	w.eventually("all goroutines have ended", func() error {
		stacks := make([]byte, 64<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, stack := range strings.Split(string(stacks), "\n\n") {
			for _, room := range []string{"kube/live.(", "kube/watch.(", "kube/crew.(", "kube/bind.("} {
				if strings.Contains(stack, room) {
					return errors.New(stack)
				}
			}
		}
		return nil
	})
}
