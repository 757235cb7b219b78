// Package trust keeps the certificate of the admission webhook of a cluster
// where nobody else does: an authority of Weir's own and the serving
// certificate that it signs, in one Secret that all replicas share.
//
// Replicas need no leader for this. Each looks at the Secret now and then,
// makes what is missing or about to end, and writes it back only if nobody
// else wrote in between; who comes second takes what the first made. API
// servers are told of a new authority before anything is served with it.
//
// The package serves nothing, and knows the API servers' side as a function
// only. It does not make the Secret: Weir has the right to this one, not to
// create others.
package trust

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
)

// Keeper keeps one certificate. Its methods may be called from any goroutine.
type Keeper struct {
	Kube   kubernetes.Interface
	Clock  clock.PassiveClock
	Secret types.NamespacedName
	// Hosts are the names by which API servers call the webhook.
	Hosts []string
	// Tell makes API servers trust the authorities, PEM, and reports whether
	// they did so already.
	Tell func(ctx context.Context, authorities []byte) (already bool, err error)

	serving atomic.Pointer[tls.Certificate]
	told    atomic.Value // string: the authorities that API servers knew when last looked
}

// ServiceHosts are the names of a Service within its cluster.
func ServiceHosts(service types.NamespacedName) []string {
	host := service.Name + "." + service.Namespace + ".svc"
	return []string{host, host + ".cluster.local"}
}

// Certificate is what to serve with now.
func (k *Keeper) Certificate() (*tls.Certificate, error) {
	if c := k.serving.Load(); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("there is no certificate yet: Secret %s was not read", k.Secret)
}

// Look brings certificate, Secret and API servers up to date. It has to be
// called now and then, an hour apart at most.
func (k *Keeper) Look(ctx context.Context) error {
	current, err := k.renew(ctx)
	if err != nil {
		return err
	}
	k.serving.Store(current.certificate())
	already, err := k.Tell(ctx, current.authorities())
	if err == nil && already {
		k.told.Store(string(current.authorities()))
	}
	return err
}

// renew returns the keys in force, after making those that have to be.
func (k *Keeper) renew(ctx context.Context) (keys, error) {
	secrets := k.Kube.CoreV1().Secrets(k.Secret.Namespace)
	const attempts = 5 // each is lost to another replica, which wrote what is wanted here
	var lost error
	for range attempts {
		secret, err := secrets.Get(ctx, k.Secret.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return keys{}, fmt.Errorf("there is no Secret %s for the webhook's certificate; create it empty, as "+
				"weir install does", k.Secret)
		}
		if err != nil {
			return keys{}, fmt.Errorf("reading the webhook's certificate from Secret %s: %w", k.Secret, err)
		}
		old := readKeys(secret.Data)
		next, changed, err := old.next(k.Hosts, k.told.Load() == string(old.authorities()), k.Clock.Now())
		if err != nil || !changed {
			return next, err
		}
		if lost = k.write(ctx, secret, next); lost == nil {
			return next, nil
		}
		if !apierrors.IsConflict(lost) {
			break
		}
	}
	return keys{}, errors.Join(fmt.Errorf("the webhook's certificate was not kept in Secret %s", k.Secret), lost)
}

func (k *Keeper) write(ctx context.Context, secret *corev1.Secret, next keys) error {
	data, err := next.write()
	if err != nil {
		return err
	}
	secret = secret.DeepCopy()
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for field, value := range data {
		secret.Data[field] = value
	}
	_, err = k.Kube.CoreV1().Secrets(secret.Namespace).Update(ctx, secret, metav1.UpdateOptions{})
	return err
}
