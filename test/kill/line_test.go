package kill

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// The harm that a line does.
const (
	refuses = "too many requests" // answers 429
	breaks  = "internal error"    // answers 500
	drops   = "request lost"      // the API server never hears of it
	mutes   = "answer lost"       // the API server does it, and nobody is told
	delays  = "late"
	cuts    = "watch cut"
	closes  = "line closed" // nothing gets through for a while
)

// line is a bad line to the API server, on the loopback interface.
type line struct {
	address string
	proxy   *httputil.ReverseProxy

	mu     sync.Mutex
	random *rand.Rand
	done   map[string]int
	closed bool
}

// How bad the line is.
const (
	watchLife   = 2 * time.Second // at most
	latest      = 500 * time.Millisecond
	openFor     = 3 * time.Second
	closedFor   = time.Second
	harmPercent = 8 // of each sort of harm to a request
)

func newLine(t *testing.T, to *rest.Config, random *rand.Rand) *line {
	t.Helper()
	transport, err := rest.TransportFor(to)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(to.Host)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{random: random, done: map[string]int{}}
	for _, harm := range []string{refuses, breaks, drops, mutes, delays, cuts, closes} {
		l.done[harm] = 0
	}
	l.proxy = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // what it would tell of is done on purpose
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(l)
	l.address = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.openAndClose(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		server.CloseClientConnections()
		server.Close()
	})
	return l
}

// openAndClose closes the line from time to time.
func (l *line) openAndClose(ctx context.Context) {
	for closed := false; ; closed = !closed {
		l.mu.Lock()
		l.closed = closed
		l.mu.Unlock()
		wait := openFor
		if closed {
			wait = closedFor
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// ServeHTTP passes a request on, or does harm to it. To panic with
// http.ErrAbortHandler closes the connection without an answer.
func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	harm, takes := l.draw(r.URL.Query().Has("watch"))
	switch harm {
	case refuses:
		refuse(w, apierrors.NewTooManyRequests("the line is busy: try again", 1))
	case breaks:
		refuse(w, apierrors.NewInternalError(http.ErrHandlerTimeout))
	case drops, closes:
		panic(http.ErrAbortHandler)
	case mutes:
		l.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case delays:
		time.Sleep(takes)
		l.proxy.ServeHTTP(w, r)
	case cuts:
		ctx, cancel := context.WithTimeout(r.Context(), takes)
		defer cancel()
		l.proxy.ServeHTTP(w, r.WithContext(ctx))
	default:
		l.proxy.ServeHTTP(w, r)
	}
}

// draw chooses what befalls a request, and for how long.
func (l *line) draw(watch bool) (harm string, takes time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := l.random.IntN(100) / harmPercent; {
	case l.closed:
		harm = closes
	case watch:
		harm, takes = cuts, time.Duration(l.random.Int64N(int64(watchLife)))
	case n < 5:
		harm = []string{refuses, breaks, drops, mutes, delays}[n]
		takes = time.Duration(l.random.Int64N(int64(latest)))
	default:
		return "", 0
	}
	l.done[harm]++
	return harm, takes
}

func refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", "application/json")
	if d := err.ErrStatus.Details; d != nil && d.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(int(err.ErrStatus.Code))
	_ = json.NewEncoder(w).Encode(err.ErrStatus)
}

// count tells how often the line did each harm.
func (l *line) count() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.done)
}
