package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
)

var (
	began  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	secret = types.NamespacedName{Namespace: "weir-system", Name: "weir-webhook"}
	hosts  = ServiceHosts(types.NamespacedName{Namespace: "weir-system", Name: "weir"})
)

// place is a cluster with replicas that keep one certificate.
type place struct {
	t        *testing.T
	kube     *fake.Clientset
	clock    *clocktesting.FakePassiveClock
	replicas []*Keeper

	mu      sync.Mutex
	trusted []byte // by the API servers
	writes  int    // of the Secret
}

func newPlace(t *testing.T, replicas int) *place {
	p := &place{t: t, kube: fake.NewClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name, ResourceVersion: "0"}}),
		clock: clocktesting.NewFakePassiveClock(began)}
	p.kube.PrependReactor("update", "secrets", p.optimistic)
	for range replicas {
		p.replicas = append(p.replicas, &Keeper{Kube: p.kube, Clock: p.clock, Secret: secret, Hosts: hosts, Tell: p.tell})
	}
	return p
}

// optimistic refuses writes of what somebody else has written meanwhile, as
// API servers do and the fake does not.
func (p *place) optimistic(a ktesting.Action) (bool, runtime.Object, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := a.(ktesting.UpdateAction).GetObject().(*corev1.Secret)
	if next.ResourceVersion != strings.Repeat("1", p.writes)+"0" {
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, next.Name, errors.New("old"))
	}
	p.writes++
	next = next.DeepCopy()
	next.ResourceVersion = strings.Repeat("1", p.writes) + "0"
	return true, next, p.kube.Tracker().Update(a.GetResource(), next, next.Namespace)
}

func (p *place) tell(_ context.Context, authorities []byte) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	already := string(p.trusted) == string(authorities)
	p.trusted = authorities
	return already, nil
}

// look lets a replica look.
func (p *place) look(i int) {
	p.t.Helper()
	if err := p.replicas[i].Look(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// calls has an API server that trusts these authorities call a replica.
func (p *place) calls(i int, authorities []byte) error {
	c, err := p.replicas[i].Certificate()
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorities)
	_, err = c.Leaf.Verify(x509.VerifyOptions{DNSName: hosts[0], Roots: roots, CurrentTime: p.clock.Now()})
	return err
}

func TestReplicasAgree(t *testing.T) {
	p := newPlace(t, 8)
	var all sync.WaitGroup
	for _, k := range p.replicas {
		all.Go(func() {
			if err := k.Look(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range p.replicas {
		if err := p.calls(i, p.trusted); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
	if p.writes != 1 {
		t.Errorf("the Secret was written %d times, want once", p.writes)
	}
}

// Over twenty years, with replicas that look at different times and restart,
// an API server that heard of the authorities one look ago can call every
// replica at every time.
func TestCallsNeverFailOverYears(t *testing.T) {
	p := newPlace(t, 3)
	for i := range p.replicas {
		p.look(i)
	}
	seen := map[string]bool{}
	authorities := map[string]bool{}
	const step, days = 4, 20 * 365
	for day := 0; day < days; day += step {
		i := day / step % len(p.replicas)
		before := p.trusted
		if day%97 < step { // restarted
			k := p.replicas[i]
			p.replicas[i] = &Keeper{Kube: k.Kube, Clock: k.Clock, Secret: k.Secret, Hosts: k.Hosts, Tell: k.Tell}
		}
		p.look(i)
		for j := range p.replicas {
			if err := p.calls(j, before); err != nil {
				t.Fatalf("day %d, replica %d: %v", day, j, err)
			}
		}
		c, _ := p.replicas[i].Certificate()
		seen[c.Leaf.SerialNumber.String()] = true
		authorities[string(c.Leaf.AuthorityKeyId)] = true
		p.clock.SetTime(p.clock.Now().Add(step * 24 * time.Hour))
	}
	if len(seen) < days/72 || len(seen) > days/55 {
		t.Errorf("%d certificates in twenty years", len(seen))
	}
	if len(authorities) != 3 { // the third ahead of the second's end
		t.Errorf("%d authorities in twenty years", len(authorities))
	}
}

// What is broken in the Secret is made anew.
func TestBrokenSecretIsMended(t *testing.T) {
	for _, field := range []string{fieldAuthorities, fieldAuthorityKey, fieldCertificate, fieldKey} {
		t.Run(field, func(t *testing.T) {
			p := newPlace(t, 1)
			p.look(0)
			got, err := p.kube.CoreV1().Secrets(secret.Namespace).Get(t.Context(), secret.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got.Data[field] = []byte("nonsense")
			if _, err := p.kube.CoreV1().Secrets(secret.Namespace).Update(t.Context(), got, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			p.look(0)
			if err := p.calls(0, p.trusted); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWithoutTheSecretItSaysWhatToDo(t *testing.T) {
	k := &Keeper{Kube: fake.NewClientset(), Clock: clocktesting.NewFakePassiveClock(began), Secret: secret, Hosts: hosts}
	if err := k.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "create it empty, as weir install does") {
		t.Errorf("got %v", err)
	}
	if _, err := k.Certificate(); err == nil || !strings.Contains(err.Error(), "weir-system/weir-webhook was not read") {
		t.Errorf("got %v", err)
	}
}

// A webhook that is called by another name gets a certificate for it at once.
func TestOtherHosts(t *testing.T) {
	p := newPlace(t, 1)
	p.look(0)
	p.replicas[0].Hosts = []string{"weir.other.svc"}
	p.look(0)
	c, _ := p.replicas[0].Certificate()
	if err := c.Leaf.VerifyHostname("weir.other.svc"); err != nil {
		t.Error(err)
	}
}
