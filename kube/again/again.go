// Package again says whether a request that failed is worth trying again, and
// waits before the next try.
package again

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

// Worth tells whether the same request may succeed later, with nothing changed
// but time: the API server has not answered, or had no time for it.
func Worth(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return true // the connection, not the server's answer
	}
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsUnexpectedServerError(err)
}

// Between tries, longer with every one.
const (
	shortest = 50 * time.Millisecond
	longest  = 5 * time.Second
)

// Pause waits before the next try, counted from 0, at least as long as the
// server asked for. The error is that of ctx.
func Pause(ctx context.Context, c clock.Clock, try int, cause error) error {
	wait := min(shortest<<min(try, 8), longest)
	if s, ok := apierrors.SuggestsClientDelay(cause); ok {
		wait = max(wait, time.Duration(s)*time.Second)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.After(wait):
		return nil
	}
}
