package v1alpha1

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/sched"
	_ "github.com/weir-gpu/weir/test/seed"
)

func read[T any](t testing.TB, text string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return obj
}

func TestDepartmentOwner(t *testing.T) {
	got, err := read[Department](t, `
metadata: {name: research}
spec:
  parent: company
  pools:
  - {name: a100, quota: {gpu: "2.5", cpu: 500m, memory: 1Ki}, limit: {gpu: 4}, weight: 0, priority: -3}
  - quota: {gpu: 1}
`).Owner()
	if err != nil {
		t.Fatal(err)
	}
	want := sched.Owner{
		Name:   "department/research",
		Parent: "department/company",
		Pools: map[string]sched.OwnerPool{
			"a100": {
				Quota:    sched.Amount{GPU: 2_500_000, CPU: 500, Memory: 1024},
				Limit:    sched.Amount{GPU: 4_000_000, CPU: sched.Unbounded, Memory: sched.Unbounded},
				Weight:   0,
				Priority: -3,
			},
			"default": {
				Quota:  sched.Amount{GPU: 1_000_000, CPU: sched.Unbounded, Memory: sched.Unbounded},
				Limit:  sched.NoLimit,
				Weight: 1,
			},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// A project of which nothing is said borrows in the default pool, and its
// namespace has its name.
func TestProjectDefaults(t *testing.T) {
	p := read[Project](t, "metadata: {name: vision}")
	got, err := p.Owner()
	if err != nil {
		t.Fatal(err)
	}
	want := sched.Owner{Name: "project/vision", Pools: map[string]sched.OwnerPool{"default": {
		Quota:  sched.Amount{GPU: 0, CPU: sched.Unbounded, Memory: sched.Unbounded},
		Limit:  sched.NoLimit,
		Weight: 1,
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if ns := p.NamespaceNames(); !reflect.DeepEqual(ns, []string{"vision"}) {
		t.Errorf("namespaces %v", ns)
	}
}

// What never went through an API server is refused here.
func TestOwnerRefused(t *testing.T) {
	for name, c := range map[string]struct{ pools, want string }{
		"negative GPUs": {`[{quota: {gpu: -1}}]`,
			`spec.pools[0].quota.gpu is -1: write a number of GPUs from 0 to 1000000, such as 8 or "2.5"`},
		"too fine": {`[{name: a}, {limit: {gpu: 1500n}}]`,
			`spec.pools[1].limit.gpu is 1500n: write at most six decimals, the smallest part of a GPU is 0.000001`},
		"CPUs too fine": {`[{quota: {cpu: "0.0001"}}]`,
			`spec.pools[0].quota.cpu is 100u: write at most three decimals, the smallest part of a CPU is 0.001`},
		"half a byte": {`[{quota: {memory: "0.5"}}]`,
			`spec.pools[0].quota.memory is 500m: write a whole number of bytes, such as "512Gi"`},
		"too much memory": {`[{quota: {memory: 1Ei}}]`,
			`spec.pools[0].quota.memory is 1Ei: write a number of bytes from 0 to 256Pi, such as "512Gi"`},
		"quota above limit": {`[{quota: {gpu: 3}, limit: {gpu: "2.5"}}]`,
			`spec.pools[0].quota.gpu is 3, above limit.gpu: write at most 2500m, or raise or omit limit.gpu`},
		"negative weight": {`[{weight: -1}]`,
			`spec.pools[0].weight is -1: write a whole number from 0 to 1000000`},
		"a pool twice": {`[{}, {name: default}]`,
			`spec.pools[1].name is default, which is there twice: name each node pool once`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read[Department](t, "spec: {pools: "+c.pools+"}").Owner()
			var fieldErr *FieldError
			if !errors.As(err, &fieldErr) || err.Error() != c.want {
				t.Errorf("got\n  %v\nwant\n  %s", err, c.want)
			}
			if _, again := read[Project](t, "spec: {pools: "+c.pools+"}").Owner(); again == nil || again.Error() != c.want {
				t.Errorf("a project gets\n  %v", again)
			}
		})
	}
}

func TestPoolOf(t *testing.T) {
	pools := []NodePool{
		*read[NodePool](t, `{metadata: {name: big}, spec: {nodeSelector: {gpu: a100, size: big}}}`),
		*read[NodePool](t, `{metadata: {name: a100}, spec: {nodeSelector: {gpu: a100}}}`),
		*read[NodePool](t, `{metadata: {name: default}, spec: {placement: {gpu: spread}}}`),
		*read[NodePool](t, `{metadata: {name: zero}, spec: {}}`),
	}
	for _, c := range []struct {
		labels map[string]string
		want   string
	}{
		{nil, "default"},
		{map[string]string{"gpu": "t4"}, "default"},
		{map[string]string{"size": "big"}, "default"},
		{map[string]string{"gpu": "a100"}, "a100"},
		{map[string]string{"gpu": "a100", "size": "big"}, "a100"}, // both select it: the first by name
	} {
		if got := PoolOf(c.labels, pools); got != c.want {
			t.Errorf("a node with labels %v is in %s, want %s", c.labels, got, c.want)
		}
	}
	if got, want := pools[2].Pool(), (sched.Pool{Name: "default", GPUPlacement: "spread", SurplusRuntime: 300_000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSurplusRuntime(t *testing.T) {
	for spec, want := range map[string]int64{
		"{}":                      300_000,
		"{surplusRuntime: 0s}":    0,
		"{surplusRuntime: 500ms}": 500,
		"{surplusRuntime: 1h30m}": 5_400_000,
		"{surplusRuntime: -5m}":   0, // no API server lets it in
	} {
		if got := read[NodePool](t, "{metadata: {name: default}, spec: "+spec+"}").Pool().SurplusRuntime; got != want {
			t.Errorf("%s: got %d ms, want %d", spec, got, want)
		}
	}
}

// What is written reaches the engine, which knows it by the same words.
func TestOrders(t *testing.T) {
	for _, want := range []string{"", sched.ByShare, sched.ByService} {
		pool := read[NodePool](t, fmt.Sprintf("{metadata: {name: default}, spec: {surplus: %q}}", want)).Pool()
		if err := sched.New(sched.Config{}).Apply(sched.PoolSet{Pool: pool}); err != nil || pool.Surplus != want {
			t.Errorf("surplus %q becomes %q: %v", want, pool.Surplus, err)
		}
	}
	for _, want := range []string{"", sched.FIFO, sched.Shortest, sched.Service} {
		owner, err := read[Project](t, fmt.Sprintf("{metadata: {name: a}, spec: {discipline: %q}}", want)).Owner()
		if err != nil || owner.Discipline != want {
			t.Errorf("discipline %q becomes %q: %v", want, owner.Discipline, err)
		}
		if err := sched.New(sched.Config{}).Apply(sched.OwnerSet{Owner: owner}); err != nil {
			t.Errorf("discipline %q: %v", want, err)
		}
	}
}

func TestUsesOf(t *testing.T) {
	total, pools := UsesOf([]sched.Use{
		{
			Pool:     "a100",
			Quota:    sched.Amount{GPU: 2_500_000, CPU: sched.Unbounded, Memory: 1 << 40},
			Granted:  sched.Amount{GPU: 3_000_000, CPU: 1500, Memory: 3 << 30},
			Borrowed: sched.Amount{GPU: 500_000},
			Running:  3, Waiting: 1,
		},
		{
			Pool:    "t4",
			Quota:   sched.Amount{GPU: 1, CPU: 1000, Memory: sched.Unbounded},
			Granted: sched.Amount{GPU: 10_000_001},
			Running: 4,
		},
	})
	if got, want := total.Quota, (Figures{GPU: "2.500001"}); got != want {
		t.Errorf("total quota %+v, want %+v", got, want)
	}
	if got, want := total.Granted, (Figures{GPU: "13.000001", CPU: "1.5", Memory: "3Gi"}); got != want {
		t.Errorf("total granted %+v, want %+v", got, want)
	}
	if total.Running != 7 || total.Waiting != 1 {
		t.Errorf("total running %d and waiting %d", total.Running, total.Waiting)
	}
	if got, want := pools[0].Borrowed.GPU+" "+pools[1].Quota.GPU, "0.5 0.000001"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if total, pools := UsesOf(nil); total.Granted.GPU != "0" || pools != nil {
		t.Errorf("of nothing: %+v %+v", total, pools)
	}
}

// Whatever the engine says is read back as the same amount.
func TestFiguresAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := sched.Amount{
			GPU:    rapid.Int64Range(0, 1e12).Draw(t, "gpu"),
			CPU:    rapid.Int64Range(0, 1e12).Draw(t, "cpu"),
			Memory: rapid.Int64Range(0, 1<<58).Draw(t, "memory"),
		}
		f := FiguresOf(want)
		gpu, cpu, memory := resource.MustParse(f.GPU), resource.MustParse(f.CPU), resource.MustParse(f.Memory)
		share := PoolShare{Quota: Amount{GPU: &gpu, CPU: &cpu, Memory: &memory}}
		got, err := share.ownerPool()
		if err != nil || got.Quota != want {
			t.Fatalf("%+v became %+v: %v", want, got.Quota, err)
		}
	})
}

// A quantity is converted to exactly its value, or not at all.
func FuzzGPU(f *testing.F) {
	for _, seed := range []string{"8", "2.5", "1u", "1500n", "-1", "1e3", "1E", "1Ei", "0.0000009", "12e-6", "1k", "9e99"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 32 || farOut(text) {
			t.Skip()
		}
		q, err := resource.ParseQuantity(text)
		if err != nil {
			t.Skip()
		}
		got, fieldErr := amountFields[0].parse(&q, 0)
		if huge(q) { // more than can be written out here
			if fieldErr == nil {
				t.Errorf("%q was taken as %d micro-GPUs", text, got)
			}
			return
		}
		micro := new(big.Rat).Mul(rational(q), big.NewRat(1e6, 1))
		valid := micro.IsInt() && micro.Sign() >= 0 && micro.Cmp(big.NewRat(1e12, 1)) <= 0
		switch {
		case valid && (fieldErr != nil || micro.Cmp(big.NewRat(got, 1)) != 0):
			t.Errorf("%q is %s micro-GPUs, got %d, %v", text, micro, got, fieldErr)
		case !valid && fieldErr == nil:
			t.Errorf("%q was taken as %d micro-GPUs", text, got)
		case fieldErr != nil && (fieldErr.Field != "gpu" || !strings.Contains(fieldErr.Error(), ": write ")):
			t.Errorf("%q: %v", text, fieldErr)
		}
	})
}

// farOut reports whether a quantity has an exponent over which Kubernetes' own
// parser takes seconds.
func farOut(text string) bool {
	_, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	n, err := strconv.ParseInt(exponent, 10, 64)
	return errors.Is(err, strconv.ErrRange) || n < -10_000 || n > math.MaxInt32
}

func rational(q resource.Quantity) *big.Rat {
	r, ok := new(big.Rat).SetString(q.AsDec().String())
	if !ok {
		panic(q.AsDec().String())
	}
	return r
}

// A rule that the engine does not know would be refused after the API let it in.
func TestEngineKnowsTheRules(t *testing.T) {
	for _, rule := range []PlacementRule{Pack, Spread, FGD, Dense} {
		pool := NodePool{Spec: NodePoolSpec{Placement: Placement{GPU: rule}}}
		if err := sched.New(sched.Config{}).Apply(sched.PoolSet{Pool: pool.Pool()}); err != nil {
			t.Error(err)
		}
	}
}
