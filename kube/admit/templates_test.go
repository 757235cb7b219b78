package admit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

func halfTemplate() *resourcev1.ResourceClaimTemplate {
	return claim.Template("ml", ask.Shape{Devices: 1, Part: sched.Part{Fraction: sched.GPU / 2}})
}

// TestOneWritePerShape: a thousand pods of a new shape cost one write.
func TestOneWritePerShape(t *testing.T) {
	client := fake.NewClientset()
	templates := NewTemplates(client.ResourceV1())
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			if err := templates.Ensure(context.Background(), halfTemplate()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := len(client.Actions()); got != 1 {
		t.Errorf("%d requests; want 1", got)
	}

	stored := client.ResourceV1().ResourceClaimTemplates("ml")
	templates.Gone("ml", halfTemplate().Name)
	if err := stored.Delete(t.Context(), halfTemplate().Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := templates.Ensure(t.Context(), halfTemplate()); err != nil {
		t.Errorf("after it was deleted: %v", err)
	}
	if _, err := stored.Get(t.Context(), halfTemplate().Name, metav1.GetOptions{}); err != nil {
		t.Errorf("it is not made again: %v", err)
	}
}

func TestTemplatesThatAreThere(t *testing.T) {
	same := NewTemplates(fake.NewClientset(halfTemplate()).ResourceV1())
	if err := same.Ensure(t.Context(), halfTemplate()); err != nil {
		t.Errorf("the same: %v", err)
	}

	other := halfTemplate()
	other.Spec.Spec.Devices.Requests[0].Exactly.Count = 8
	edited := NewTemplates(fake.NewClientset(other).ResourceV1())
	want := "ResourceClaimTemplate ml/" + other.Name + " is not the one that Weir makes under this name; delete it"
	if err := edited.Ensure(t.Context(), halfTemplate()); err == nil || err.Error() != want {
		t.Errorf("another: got %v; want %s", err, want)
	}
}

// TestServerTrouble: the pod is refused with the server's own code, so that
// its maker tries again, and so does the webhook.
func TestServerTrouble(t *testing.T) {
	client := fake.NewClientset()
	down := true
	client.PrependReactor("create", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return down, nil, apierrors.NewTooManyRequests("slow down", 1)
	})
	cfg := sample(nil)
	cfg.Templates = NewTemplates(client.ResourceV1())
	half := stories(t, "testdata/pods.yaml")[2].request(t)
	got := send(t, Handler(cfg), half)
	if got.Allowed || got.Result.Code != 429 || !strings.Contains(got.Result.Message, "the claim template") {
		t.Errorf("got %+v; want 429", got.Result)
	}
	down = false
	if got := send(t, Handler(cfg), half); !got.Allowed {
		t.Errorf("later: %+v", got.Result)
	}
	if err := status(errors.New("x")); err.Code != 422 {
		t.Errorf("other errors have code %d", err.Code)
	}
}
