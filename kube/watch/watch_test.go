package watch_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gpu/weir/kube/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is an API server that has pods and can lose its watchers.
type api struct {
	mu      sync.Mutex
	pods    []corev1.Pod
	version int
	watcher *apiwatch.FakeWatcher
	watched chan struct{}
}

func newAPI(pods ...corev1.Pod) *api {
	return &api{pods: pods, watched: make(chan struct{}, 16)}
}

func (a *api) listWatch() cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.version++
			return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: fmt.Sprint(a.version)},
				Items: slices.Clone(a.pods)}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (apiwatch.Interface, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.watcher = apiwatch.NewFake()
			a.watched <- struct{}{}
			return a.watcher, nil
		},
	}, plainLists{})
}

// plainLists says that the API server sends no lists through watches.
type plainLists struct{}

func (plainLists) IsWatchListSemanticsUnSupported() bool { return true }

func pod(name, uid, version string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, ResourceVersion: version,
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}, Labels: map[string]string{"uid": uid}}}
}

// follow starts a feed of the API server's pods.
func follow(t *testing.T, a *api) *watch.Feed {
	t.Helper()
	feed := watch.New(slog.New(slog.DiscardHandler),
		watch.Source{Name: "pods", Example: &corev1.Pod{}, List: a.listWatch()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { feed.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	if err := feed.Synced(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-a.watched
	return feed
}

// next takes changes until there are n: "+a" for a pod that is there, "-a"
// for one that is gone.
func next(t *testing.T, feed *watch.Feed, n int) []string {
	t.Helper()
	var got []string
	for len(got) < n {
		for _, c := range feed.Take() {
			sign := "+"
			if c.Gone {
				sign = "-"
			}
			p := c.Object.(*corev1.Pod)
			if p.ManagedFields != nil {
				t.Error("managed fields were kept")
			}
			got = append(got, sign+p.Name)
		}
		if len(got) < n {
			select {
			case <-feed.Ready():
			case <-time.After(10 * time.Second):
				t.Fatalf("only %v came", got)
			}
		}
	}
	slices.Sort(got)
	return got
}

func TestChangesComeOnce(t *testing.T) {
	a := newAPI(pod("a", "1", "1"), pod("b", "1", "2"))
	feed := follow(t, a)
	if got := next(t, feed, 2); !slices.Equal(got, []string{"+a", "+b"}) {
		t.Errorf("the list brought %v", got)
	}
	changed, gone := pod("a", "1", "3"), pod("b", "1", "4")
	a.watcher.Modify(&changed)
	a.watcher.Delete(&gone)
	if got := next(t, feed, 2); !slices.Equal(got, []string{"+a", "-b"}) {
		t.Errorf("the watch brought %v", got)
	}
}

func TestBrokenWatchBringsOnlyWhatChanged(t *testing.T) {
	same, changes, goes := pod("same", "1", "1"), pod("changes", "1", "2"), pod("goes", "1", "3")
	a := newAPI(same, changes, goes)
	feed := follow(t, a)
	next(t, feed, 3)
	changes.ResourceVersion = "4"
	a.mu.Lock()
	a.pods = []corev1.Pod{same, changes, pod("comes", "1", "5")}
	a.mu.Unlock()
	a.watcher.Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
	<-a.watched
	if got := next(t, feed, 3); !slices.Equal(got, []string{"+changes", "+comes", "-goes"}) {
		t.Errorf("the new list brought %v", got)
	}
}

func TestPodMadeAnewIsTwoChanges(t *testing.T) {
	first := pod("a", "1", "1")
	first.UID = "1"
	a := newAPI(first)
	feed := follow(t, a)
	next(t, feed, 1)
	second := pod("a", "2", "9")
	second.UID = "2"
	a.mu.Lock()
	a.pods = []corev1.Pod{second}
	a.mu.Unlock()
	a.watcher.Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
	<-a.watched
	if got := next(t, feed, 2); !slices.Equal(got, []string{"+a", "-a"}) {
		t.Errorf("got %v", got)
	}
}

func TestSyncedNamesWhatIsMissing(t *testing.T) {
	feed := watch.New(slog.New(slog.DiscardHandler), watch.Source{Name: "pods"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := feed.Synced(ctx); err == nil || err.Error() !=
		"waiting for the API server to list [pods]: context deadline exceeded" {
		t.Errorf("error %v", err)
	}
}
