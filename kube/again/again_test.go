package again_test

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/weir-gpu/weir/kube/again"
)

var pods = schema.GroupResource{Resource: "pods"}

func TestWorth(t *testing.T) {
	lost := errors.New("connection reset by peer")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{lost, true},
		{apierrors.NewTooManyRequests("busy", 1), true},
		{apierrors.NewInternalError(lost), true},
		{apierrors.NewServerTimeout(pods, "create", 1), true},
		{apierrors.NewServiceUnavailable("starting"), true},
		{apierrors.NewForbidden(pods, "p", lost), false},
		{apierrors.NewConflict(pods, "p", lost), false},
		{apierrors.NewNotFound(pods, "p"), false},
		{apierrors.NewBadRequest("no"), false},
	} {
		if got := again.Worth(c.err); got != c.want {
			t.Errorf("%v: worth another try is %v, want %v", c.err, got, c.want)
		}
	}
}

// listening notes how long it is asked to wait, and waits no time.
type listening struct {
	*clocktesting.FakeClock
	waited time.Duration
}

func (l *listening) After(d time.Duration) <-chan time.Time {
	l.waited = d
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

func TestPause(t *testing.T) {
	lost := errors.New("connection reset by peer")
	c := &listening{FakeClock: clocktesting.NewFakeClock(time.Now())}
	for _, step := range []struct {
		try   int
		cause error
		want  time.Duration
	}{
		{0, lost, 50 * time.Millisecond},
		{3, lost, 400 * time.Millisecond},
		{1000, lost, 5 * time.Second},
		{0, apierrors.NewTooManyRequests("busy", 7), 7 * time.Second},
	} {
		if err := again.Pause(t.Context(), c, step.try, step.cause); err != nil || c.waited != step.want {
			t.Errorf("try %d after %v waits %s, %v; want %s", step.try, step.cause, c.waited, err, step.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := again.Pause(ended, clocktesting.NewFakeClock(time.Now()), 0, lost); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
}
