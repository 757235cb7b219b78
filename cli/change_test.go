package cli

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// What commands change is in the cluster afterwards.
func TestChanges(t *testing.T) {
	jobs := schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	pods := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	weir := v1alpha1.GroupVersion
	for _, tc := range []struct {
		line     string
		out      string
		resource schema.GroupVersionResource
		ns, name string
		want     string // a part of the object's JSON; "" when it has to be gone
	}{
		{"submit train new --image i --gpu 2", "ml/job/new submitted\n", jobs, "ml", "new", `"nvidia.com/gpu":"2"`},
		{"submit build new --image i --project vision -n ml-dev", "ml-dev/pod/new submitted\n", pods, "ml-dev", "new",
			`"weir.dev/project":"vision"`},
		{"submit build new --image i --project speech", "speech/pod/new submitted\n", pods, "speech", "new", `"tty":true`},
		{"suspend tune", "ml/job/tune suspended\n", jobs, "ml", "tune", `"suspend":true`},
		{"resume tune", "ml/job/tune resumed\n", jobs, "ml", "tune", `"suspend":false`},
		{"suspend dev", "ml/pod/dev suspended\n", pods, "ml", "dev", `"weir.dev/suspend":"true"`},
		{"delete job/tune", "ml/job/tune deleted\n", jobs, "ml", "tune", ""},
		{"project create nlp --department research --gpu 2.5 --limit 8", "project nlp created\nnamespace nlp created\n",
			weir.WithResource("projects"), "", "nlp", `"quota":{"gpu":"2.5"}`},
		{"project set vision --pool old --gpu 4 --weight 0", "project vision changed\n", weir.WithResource("projects"), "",
			"vision", `"pools":[{"name":"old","quota":{"gpu":"4"},"weight":0}]`},
		{"project delete speech", "project speech deleted\n", weir.WithResource("projects"), "", "speech", ""},
		{"department create apps --gpu 64", "department apps created\n", weir.WithResource("departments"), "", "apps",
			`"gpu":"64"`},
		{"department set research --limit 9", "department research changed\n", weir.WithResource("departments"), "",
			"research", `"limit":{"gpu":"9"}`},
		{"pool create new --selector a=b", "pool new created\n", weir.WithResource("nodepools"), "", "new",
			`"nodeSelector":{"a":"b"}`},
		{"pool set old --placement spread", "pool old changed\n", weir.WithResource("nodepools"), "", "old",
			`"placement":{"gpu":"spread"}`},
		{"pool delete old", "pool old deleted\n", weir.WithResource("nodepools"), "", "old", ""},
	} {
		t.Run(tc.line, func(t *testing.T) {
			b := newBench(t)
			code, out, stderr := b.run(strings.Fields(tc.line)...)
			if code != 0 || out != tc.out {
				t.Fatalf("exit %d: %q, want %q: %s", code, out, tc.out, stderr)
			}
			u, err := b.dyn.Resource(tc.resource).Namespace(tc.ns).Get(t.Context(), tc.name, metav1.GetOptions{})
			if tc.want == "" {
				if err == nil {
					t.Errorf("%s is still there", tc.name)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			raw, err := u.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(raw), tc.want) {
				t.Errorf("%s is not in %s", tc.want, raw)
			}
		})
	}
}
