package webhook

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/watch"
)

// The API server is asked for what has not been seen, and not for long.
func TestLooksAtTheAPIServer(t *testing.T) {
	hung := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/apis/weir.dev/v1alpha1/departments/research":
			_ = json.NewEncoder(w).Encode(&v1alpha1.Department{
				TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Department"},
				ObjectMeta: metav1.ObjectMeta{Name: "research"}, Spec: v1alpha1.DepartmentSpec{Parent: "company"},
			})
		case "/apis/weir.dev/v1alpha1/departments/slow":
			<-hung
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer api.Close()
	defer close(hung)
	s := server()
	client, err := watch.WeirClient(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.weir = client
	var found v1alpha1.Department
	if !s.look(t.Context(), "departments", "research", &found) || found.Spec.Parent != "company" {
		t.Errorf("what is there was not found: %+v", found)
	}
	if s.look(t.Context(), "departments", "nowhere", &v1alpha1.Department{}) {
		t.Error("what is not there was found")
	}
	begin := time.Now()
	if s.look(t.Context(), "departments", "slow", &v1alpha1.Department{}) {
		t.Error("found without an answer")
	}
	if took := time.Since(begin); took > 2*soon {
		t.Errorf("waited %v for an answer", took)
	}
}
