package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gpu/weir/kube/spelling"
)

// The exit codes.
const (
	exitOK       = 0
	exitFailure  = 1   // it was understood and did not work
	exitUsage    = 2   // it was not understood, or cannot be valid
	exitNotFound = 3   // something that was named does not exist
	exitWaiting  = 4   // explain and plan with --exit-code: something waits
	exitStopped  = 130 // stopped by Ctrl-C
)

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string { return c.err.Error() }
func (c coded) Unwrap() error { return c.err }

// refused is an error in what people wrote.
func refused(format string, args ...any) error { return coded{exitUsage, fmt.Errorf(format, args...)} }

// notFound is an error about something that does not exist.
func notFound(format string, args ...any) error {
	return coded{exitNotFound, fmt.Errorf(format, args...)}
}

// errWaiting ends a command with exitWaiting; it says nothing by itself.
var errWaiting = coded{exitWaiting, errors.New("")}

// verdict turns an error into an exit code and the one sentence to print.
func (s *session) verdict(err error) (code int, sentence string) {
	var c coded
	switch {
	case errors.As(err, &c):
		return c.code, c.Error()
	case errors.Is(err, context.Canceled):
		return exitStopped, ""
	case !s.started:
		return exitUsage, err.Error()
	case clientcmd.IsEmptyConfig(err):
		return exitFailure, "there is no kubeconfig, so no cluster to talk to: name one with --kubeconfig or $KUBECONFIG, " +
			"or start a cluster here with weir up"
	case clientcmd.IsContextNotFound(err):
		return exitFailure, err.Error() + ": see the contexts there are with kubectl config get-contexts"
	case meta.IsNoMatchError(err):
		return exitFailure, err.Error() + ": install Weir in this cluster, or start one that has it with weir up"
	}
	if code, sentence, ok := ofAPI(err); ok {
		return code, sentence
	}
	return exitFailure, ofNetwork(err)
}

// ofAPI words what an API server refused.
func ofAPI(err error) (code int, sentence string, ok bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return 0, "", false
	}
	message := err.Error()
	if _, why, denied := strings.Cut(message, " denied the request: "); denied {
		return exitUsage, why, true
	}
	switch {
	case apierrors.IsNotFound(err):
		if d := status.Status().Details; d == nil || d.Name == "" {
			return exitFailure, "this cluster does not have Weir's kinds (weir.dev/v1alpha1): install Weir in it, " +
				"or start one that has them with weir up", true
		}
		return exitNotFound, message, true
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return exitUsage, message, true
	case apierrors.IsForbidden(err):
		return exitFailure, message + ": ask whoever runs the cluster for that right", true
	case apierrors.IsUnauthorized(err):
		return exitFailure, "the cluster does not know you: log in again, or name another --kubeconfig or --context", true
	}
	return exitFailure, message, true
}

// ofNetwork words what came of trying to reach a server.
func ofNetwork(err error) string {
	var u *url.Error
	var n net.Error
	if errors.As(err, &u) && errors.As(err, &n) {
		server := u.URL
		if parsed, err := url.Parse(u.URL); err == nil {
			server = parsed.Scheme + "://" + parsed.Host
		}
		return fmt.Sprintf("the cluster at %s cannot be reached (%v): start it (weir up), or name another "+
			"with --kubeconfig or --context", server, u.Err)
	}
	return err.Error()
}

// similarTo offers the names that are close to the one that was written.
func similarTo(name string, names []string) string {
	const offered = 3
	near := slices.Clone(names)
	limit := max(2, len(name)/3)
	near = slices.DeleteFunc(near, func(n string) bool {
		return spelling.Distance(name, n) > limit && (len(name) < 2 || !strings.Contains(n, name))
	})
	slices.SortFunc(near, func(a, b string) int {
		return cmp.Or(spelling.Distance(name, a)-spelling.Distance(name, b), strings.Compare(a, b))
	})
	if near = near[:min(len(near), offered)]; len(near) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(near, " or ") + "?"
}

// listed offers all names where they are few, or the similar ones.
func listed(name string, names []string, none string) string {
	const few = 10
	if len(names) == 0 {
		return ": " + none
	}
	if s := similarTo(name, names); s != "" {
		return s
	}
	slices.Sort(names)
	if len(names) > few {
		return fmt.Sprintf(": there are %s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return ": there are " + strings.Join(names, ", ")
}
