package sched

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	_ "github.com/weir-gpu/weir/test/seed"
)

// state is everything that a transaction may touch, for comparing.
func state(e *Engine) string {
	var out []byte
	for _, n := range e.nodes {
		out = fmt.Appendf(out, "%s %v %v\n", n.Name, n.used, n.devices)
		ids := make([]string, 0, len(n.holders))
		for _, h := range n.holders {
			ids = append(ids, fmt.Sprint(h.pod.id, h.in, h.parts))
		}
		slices.Sort(ids)
		out = fmt.Appendf(out, "%v\n", ids)
	}
	for _, p := range e.poolList {
		for _, name := range sortedKeys(p.accounts) {
			a := p.accounts[name]
			out = fmt.Appendf(out, "%s %v %v %d\n", name, a.used, a.firm, a.running)
		}
	}
	return string(out)
}

func drawCluster(t *rapid.T) *Engine {
	e := New(Config{})
	must(t, e.Apply(PoolSet{Pool{Name: DefaultPool, GPUPlacement: rapid.SampledFrom(Rules).Draw(t, "rule")}}))
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		n := Node{Name: fmt.Sprintf("n%02d", i), Capacity: Resources{CPU: 64000, Memory: 1 << 38}}
		for d := range rapid.IntRange(0, 4).Draw(t, "devices") {
			n.Devices = append(n.Devices, Device{Name: fmt.Sprint("gpu-", d), Model: "H100", MemoryMiB: 81559, ComputeMilli: 1000})
		}
		must(t, e.Apply(NodeSet{n}))
	}
	for _, o := range []string{"a", "b"} {
		must(t, e.Apply(OwnerSet{Owner{Name: o, Pools: map[string]OwnerPool{DefaultPool: {
			Quota: Amount{GPU: rapid.Int64Range(0, 8).Draw(t, "quota") * GPU, CPU: Unbounded, Memory: Unbounded},
			Limit: NoLimit, Weight: 1,
		}}}}))
	}
	if rapid.Bool().Draw(t, "told what to expect") {
		must(t, e.Apply(drawExpect(t)))
	}
	return e
}

func drawAsk(t *rapid.T) Ask {
	ask := Ask{Devices: 1, Resources: Resources{CPU: rapid.Int64Range(0, 9000).Draw(t, "cpu")}}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		ask.Devices = rapid.IntRange(0, 4).Draw(t, "count")
	case 1:
		ask.Part.Fraction = rapid.Int64Range(1, GPU).Draw(t, "fraction")
	case 2:
		ask.Part.MemoryMiB = rapid.Int64Range(1, 81559).Draw(t, "memory")
	}
	return ask
}

func drawWorkload(t *rapid.T, e *Engine, id string) {
	ask := drawAsk(t)
	pods := rapid.IntRange(1, 3).Draw(t, "pods")
	must(t, e.Apply(WorkloadSet{Workload{
		ID: id, Owner: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "owner"), Min: pods,
		Preemptible: rapid.Bool().Draw(t, "preemptible"), Priority: rapid.Int32Range(0, 2).Draw(t, "priority"),
	}}))
	for i := range pods {
		must(t, e.Apply(PodSet{Workload: id, Pod: Pod{ID: fmt.Sprint(id, "-", i), Ask: ask}}))
	}
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Planning decides on a transaction that it takes back: whatever it did has to
// be gone without a trace.
func TestRollbackLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawCluster(t)
		for i := range rapid.IntRange(1, 12).Draw(t, "workloads") {
			drawWorkload(t, e, fmt.Sprint("w", i))
		}
		e.Decide(1)
		before := state(e)
		e.begin()
		for _, n := range e.nodes {
			for _, h := range slices.Clone(n.holders) {
				e.put(h, hold(rapid.IntRange(0, 7).Draw(t, "in")))
			}
		}
		e.rollback()
		if after := state(e); after != before {
			t.Fatalf("before:\n%s\nafter:\n%s", before, after)
		}
		for _, id := range sortedKeys(e.workloads) {
			e.Explain(id)
		}
		if after := state(e); after != before {
			t.Fatalf("explaining changed the state; before:\n%s\nafter:\n%s", before, after)
		}
	})
}

// stir lets work come, end, and something happen to a node or to what is
// expected.
func stir(t *rapid.T, e *Engine, i int) {
	drawWorkload(t, e, fmt.Sprint("w", i))
	e.Decide(Time(i))
	if rapid.Bool().Draw(t, "end") {
		ids := sortedKeys(e.pods)
		must(t, e.Apply(PodGone{rapid.SampledFrom(ids).Draw(t, "gone")}))
	}
	n := e.nodes[rapid.IntRange(0, len(e.nodes)-1).Draw(t, "node")]
	set := n.Node
	switch rapid.IntRange(0, 9).Draw(t, "happens") {
	case 0:
		must(t, e.Apply(NodeGone{n.Name}))
	case 1, 2:
		set.Unschedulable = !set.Unschedulable
		must(t, e.Apply(NodeSet{set}))
	case 3:
		set.Devices = slices.Clone(set.Devices)
		for d := range set.Devices {
			set.Devices[d].Model = rapid.SampledFrom([]string{"H100", "A100"}).Draw(t, "model")
		}
		must(t, e.Apply(NodeSet{set}))
	case 4:
		must(t, e.Apply(drawExpect(t)))
	}
}

func drawExpect(t *rapid.T) Expect {
	var ev Expect
	for range rapid.IntRange(0, 5).Draw(t, "expected kinds") {
		x := Expected{Ask: drawAsk(t), Weight: rapid.Int64Range(1, 50).Draw(t, "weight")}
		if rapid.IntRange(0, 2).Draw(t, "picky") == 0 {
			x.Ask.Models = []string{rapid.SampledFrom([]string{"H100", "A100", "L4"}).Draw(t, "expected model")}
		}
		ev.Pods = append(ev.Pods, x)
	}
	return ev
}

// A tree that was repaired has to equal one that is built anew.
func TestRepairedTreeEqualsBuiltOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawCluster(t)
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			stir(t, e, i)
		}
		e.remix()
		for _, s := range e.shapeList {
			for _, p := range e.poolList {
				if p.index >= len(s.trees) || s.trees[p.index] == nil {
					continue
				}
				got := e.tree(s, p)
				want := &tree{shape: s, pool: p, read: -1}
				want.free.read = -1
				e.repair(want)
				best := e.top(got)
				e.knowAll(got)
				e.knowAll(want)
				for leaf, n := range p.nodes {
					alone := &tree{shape: s, pool: p}
					e.build(alone)
					e.offer(alone, leaf)
					if alone.leaves[leaf].score != want.leaves[leaf].score {
						t.Fatalf("shape %s: built anew, %s has another score than on its own", s.key, n.Name)
					}
				}
				same := func(a, b leaf) bool { return a.score == b.score && (a.at < 0 || a.group == b.group) }
				if !slices.EqualFunc(got.leaves, want.leaves, same) || best != e.top(want) {
					t.Fatalf("shape %s: best %d; built anew: best %d", s.key, e.top(got), e.top(want))
				}
				if f, w := e.free(got), e.free(want); f.sum != w.sum || !slices.Equal(f.slots, w.slots) {
					t.Fatalf("shape %s: %d fit; built anew: %d", s.key, f.sum, w.sum)
				}
				checkLadders(t, got)
				b := *e.bounds(got)
				got.bound.read = -1
				if c := e.bounds(got); b.sumLater != c.sumLater || b.sumFixed != c.sumFixed {
					t.Fatalf("shape %s: bounds %d %d; built anew: %d %d", s.key, b.sumLater, b.sumFixed, c.sumLater, c.sumFixed)
				}
			}
		}
	})
}

// A fork that tried to consolidate when its engine would wait would answer
// what-if questions with moves that do not come.
func TestForkWaitsWithMovesAsItsEngineDoes(t *testing.T) {
	e := New(Config{})
	ask := Ask{Devices: 2}
	own := e.intern(ask, 0).treeIn(e.pool(DefaultPool))
	own.moveFails, own.nextMove = 2, 4000
	f := e.Fork()
	forked := f.intern(ask, 0).treeIn(f.pool(DefaultPool))
	if forked.moveFails != 2 || forked.nextMove != 4000 {
		t.Errorf("after %d failures the fork waits until %d; want 2 and 4000", forked.moveFails, forked.nextMove)
	}
}

// checkLadders checks that each leaf that fits is in its ladder once, below none
// that is worse.
func checkLadders(t *rapid.T, x *tree) {
	t.Helper()
	ranked := 0
	for g, h := range x.ladders {
		if len(h) > 0 && x.tops[g] != h[0] || len(h) == 0 && x.tops[g] != ground {
			t.Fatalf("the top of ladder %d is said to be %v: %v", g, x.tops[g], h)
		}
		for i, r := range h {
			ranked++
			if l := x.leaves[r.leaf]; int(l.at) != i || int(l.group) != g || l.score == noScore || r != x.rung(r.leaf) {
				t.Fatalf("leaf %d is in ladder %d at %d as %v, it says in %d at %d as %v", r.leaf, g, i, r, l.group, l.at, l)
			}
			if i > 0 && r.before(h[(i-1)/2]) {
				t.Fatalf("leaf %d is better than leaf %d above it", r.leaf, h[(i-1)/2].leaf)
			}
		}
	}
	for leaf, l := range x.leaves {
		ranked -= b2i(l.score != noScore)
		if l.score == noScore && l.at >= 0 {
			t.Fatalf("leaf %d does not fit and is ranked", leaf)
		}
	}
	if ranked != 0 {
		t.Fatalf("%d leaves more are ranked than fit", ranked)
	}
}

// Whatever happens to it, a heap gives its elements in order.
func TestHeapKeepsOrder(t *testing.T) {
	type item struct{ key, at int }
	rapid.Check(t, func(t *rapid.T) {
		h := heap[*item]{less: func(a, b *item) bool { return a.key < b.key }, at: func(x *item) *int { return &x.at }}
		var all []*item
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 2).Draw(t, "op"); {
			case op == 0 || len(all) == 0:
				x := &item{key: rapid.IntRange(0, 20).Draw(t, "key"), at: -1}
				h.push(x)
				all = append(all, x)
			case op == 1:
				x := rapid.SampledFrom(all).Draw(t, "change")
				x.key = rapid.IntRange(0, 20).Draw(t, "key")
				h.fix(x)
			default:
				i := rapid.IntRange(0, len(all)-1).Draw(t, "remove")
				h.remove(all[i])
				all = slices.Delete(all, i, i+1)
			}
		}
		var got, want []int
		for _, x := range all {
			want = append(want, x.key)
		}
		slices.Sort(want)
		for h.len() > 0 {
			got = append(got, h.pop().key)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}
