package install

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/kube/watch"
)

// Installing again, as every start of a cluster does, harms nothing: what
// people changed in the meantime stays as it is.
func TestInstallTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir(), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	weir, err := watch.WeirClient(c.Config())
	if err != nil {
		t.Fatal(err)
	}

	install(t, c, "8")
	changed := &v1alpha1.Project{}
	get := weir.Get().Resource("projects").Name("vision")
	if err := get.Do(t.Context()).Into(changed); err != nil {
		t.Fatal(err)
	}
	changed.Spec.Pools[0].Quota = gpus("3")
	if err := weir.Put().Resource("projects").Name("vision").Body(changed).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}

	install(t, c, "8")
	kept := &v1alpha1.Project{}
	if err := get.Do(t.Context()).Into(kept); err != nil {
		t.Fatal(err)
	}
	if got := kept.Spec.Pools[0].Quota.GPU.String(); got != "3" {
		t.Errorf("the quota that people set to 3 is %s", got)
	}
}

func install(t *testing.T, c *cluster.Cluster, quota string) {
	t.Helper()
	if err := Kinds(t.Context(), c.Config()); err != nil {
		t.Fatal(err)
	}
	shares := []v1alpha1.PoolShare{{Name: "default", Quota: gpus(quota)}}
	o := Organisation{
		Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "vision"}}},
		Departments: []*v1alpha1.Department{{
			ObjectMeta: metav1.ObjectMeta{Name: "research"}, Spec: v1alpha1.DepartmentSpec{Pools: shares},
		}},
		Projects: []*v1alpha1.Project{{
			ObjectMeta: metav1.ObjectMeta{Name: "vision"},
			Spec:       v1alpha1.ProjectSpec{Department: "research", Pools: shares},
		}},
	}
	if err := o.Create(t.Context(), c.Config()); err != nil {
		t.Fatal(err)
	}
}

func gpus(n string) v1alpha1.Amount {
	q := resource.MustParse(n)
	return v1alpha1.Amount{GPU: &q}
}
