package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sched"
)

// statements are the verbs with which a line may begin.
var statements = map[string]func(*story, *cursor) error{
	"cluster":    (*story).cluster,
	"pool":       (*story).pool,
	"department": (*story).owner,
	"project":    (*story).owner,
	"forget":     (*story).forget,
	"submit":     (*story).submit,
	"grow":       (*story).grow,
	"end":        (*story).end,
	"delete":     (*story).remove,
	"suspend":    (*story).suspend,
	"budget":     (*story).budget,
	"began":      (*story).began,
	"resume":     (*story).suspend,
	"kill":       (*story).kill,
	"cordon":     (*story).cordon,
	"uncordon":   (*story).cordon,
	"device":     (*story).device,
	"foreign":    (*story).foreign,
	"fail":       (*story).fail,
	"decide":     (*story).again,
	"settle":     (*story).settleNow,
	"wait":       (*story).wait,
	"restart":    func(s *story, _ *cursor) error { return s.restart() },
	"expect":     (*story).expect,
}

func known[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }

// cluster: cluster N nodes [x D MODEL MEMORY] [cpu C] [memory M] …
func (s *story) cluster(c *cursor) error {
	n, err := c.int("the number of nodes")
	if err != nil {
		return err
	}
	if err := c.expect("nodes"); err != nil {
		return err
	}
	node := sched.Node{Pool: sched.DefaultPool}
	if c.peek("x") {
		if node.Devices, err = devices(c); err != nil {
			return err
		}
	}
	prefix := "n"
	node.Capacity = sched.Resources{CPU: 1000_000, Memory: 1 << 42, Pods: 110, Other: map[string]int64{}}
	err = options{
		"cpu":     value(&node.Capacity.CPU, cpus),
		"memory":  value(&node.Capacity.Memory, bytes),
		"pods":    value(&node.Capacity.Pods, number64),
		"other":   others(node.Capacity.Other),
		"pool":    value(&node.Pool, text),
		"class":   value(&node.FitClass, text),
		"named":   value(&prefix, text),
		"counted": flag(&node.Counted),
		"host":    value(&node.HostMiB, mib),
	}.read(c)
	if err != nil {
		return err
	}
	for range n {
		s.named++
		node.Name = fmt.Sprint(prefix, s.named)
		s.fitness[node.Name] = node.FitClass
		if err := s.tell(sched.NodeSet{Node: node}); err != nil {
			return err
		}
	}
	return nil
}

func devices(c *cursor) ([]sched.Device, error) {
	n, err := c.int("the number of devices")
	if err != nil {
		return nil, err
	}
	d := sched.Device{ComputeMilli: sched.WholeCompute}
	if d.Model, err = c.next("the model"); err != nil {
		return nil, err
	}
	memory, err := c.next("the device memory")
	if err != nil {
		return nil, err
	}
	if d.MemoryMiB, err = mib(memory); err != nil {
		return nil, err
	}
	var out []sched.Device
	for i := range n {
		d.Name = fmt.Sprintf("gpu-%d", i)
		out = append(out, d)
	}
	return out, nil
}

// others reads NAME=QUANTITY.
func others(into map[string]int64) func(*cursor) error {
	return func(c *cursor) error {
		var word string
		if err := value(&word, text)(c); err != nil {
			return err
		}
		name, q, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("other %q should be NAME=QUANTITY", word)
		}
		n, err := number64(q)
		into[name] = n
		return err
	}
}

// pool: pool NAME [gpu RULE] [cpu RULE] [surplus RULE] [surplus-runtime TIME]
func (s *story) pool(c *cursor) error {
	name, err := c.next("the pool's name")
	if err != nil {
		return err
	}
	p := sched.Pool{Name: name}
	err = options{
		"gpu": value(&p.GPUPlacement, text), "cpu": value(&p.CPUPlacement, text),
		"surplus": value(&p.Surplus, text), "surplus-runtime": value(&p.SurplusRuntime, span),
	}.read(c)
	if err != nil {
		return err
	}
	return s.tell(sched.PoolSet{Pool: p})
}

// owner: department|project NAME [in PARENT] [quota Q] [limit L] … [pool P].
// Said again, it changes the owner, or adds another pool to it.
func (s *story) owner(c *cursor) error {
	name, err := c.next("the owner's name")
	if err != nil {
		return err
	}
	o := s.ledger.Owners[name]
	o.Name, o.Pools = name, maps.Clone(o.Pools)
	if o.Pools == nil {
		o.Pools = map[string]sched.OwnerPool{}
	}
	pool := sched.DefaultPool
	p := sched.OwnerPool{
		Quota: sched.Amount{CPU: sched.Unbounded, Memory: sched.Unbounded}, Limit: sched.NoLimit, Weight: 1,
	}
	err = options{
		"in":           value(&o.Parent, text),
		"pools":        value(&o.PoolOrder, list),
		"pool":         value(&pool, text),
		"quota":        value(&p.Quota.GPU, gpus),
		"quota-cpu":    value(&p.Quota.CPU, cpus),
		"quota-memory": value(&p.Quota.Memory, bytes),
		"limit":        value(&p.Limit.GPU, gpus),
		"limit-cpu":    value(&p.Limit.CPU, cpus),
		"limit-memory": value(&p.Limit.Memory, bytes),
		"weight":       value(&p.Weight, number64),
		"priority":     value(&p.Priority, number32),
		"discipline":   value(&o.Discipline, text),
	}.read(c)
	if err != nil {
		return err
	}
	o.Pools[pool] = p
	return s.tell(sched.OwnerSet{Owner: o})
}

// forget: forget OWNER
func (s *story) forget(c *cursor) error {
	name, err := c.next("the owner's name")
	if err != nil {
		return err
	}
	return s.tell(sched.OwnerGone{Name: name})
}

// asking are the words that say what one pod asks for.
func asking(a *sched.Ask, whole *int) options {
	return options{
		"gpus":             value(whole, number),
		"devices":          value(&a.Devices, number),
		"fraction":         value(&a.Part.Fraction, gpus),
		"gpu-memory":       value(&a.Part.MemoryMiB, mib),
		"compute":          value(&a.Part.ComputeMilli, milli),
		"limit-fraction":   value(&a.Part.LimitFraction, gpus),
		"limit-gpu-memory": value(&a.Part.LimitMemoryMiB, mib),
		"limit-compute":    value(&a.Part.LimitComputeMilli, milli),
		"models":           value(&a.Models, list),
		"cpu":              value(&a.CPU, cpus),
		"memory":           value(&a.Memory, bytes),
		"other":            others(a.Other),
		"fit":              value(&a.Fit, text),
	}
}

// finish turns what was read into an ask: parts are of one device unless said.
func finish(a sched.Ask, whole int) (sched.Ask, error) {
	if len(a.Other) == 0 {
		a.Other = nil
	}
	switch {
	case whole > 0 && !a.Part.IsWhole():
		return a, fmt.Errorf("gpus %d are whole devices; parts are asked for by devices and fraction or gpu-memory", whole)
	case whole > 0:
		a.Devices = whole
	case !a.Part.IsWhole() && a.Devices == 0:
		a.Devices = 1
	}
	return a, nil
}

// submit: submit build|train|infer NAME project OWNER [pods N] [min N] ASK …
func (s *story) submit(c *cursor) error {
	kind, err := c.next("the kind (build, train or infer)")
	if err != nil {
		return err
	}
	w, err := workloadOf(sched.Kind(kind))
	if err != nil {
		return err
	}
	if w.ID, err = c.next("the workload's name"); err != nil {
		return err
	}
	s.ledger.Now += 1000 // what is submitted later waits behind
	var (
		ask   = sched.Ask{Resources: sched.Resources{Other: map[string]int64{}}}
		whole int
		pods  = 1
		at    = int64(s.ledger.Now - begin)
	)
	opts := asking(&ask, &whole)
	maps.Copy(opts, options{
		"project":     value(&w.Owner, text),
		"pods":        value(&pods, number),
		"min":         value(&w.Min, number),
		"priority":    value(&w.Priority, number32),
		"preemptible": value(&w.Preemptible, yesNo),
		"pools":       value(&w.Pools, list),
		"min-runtime": value(&w.MinRuntime, span),
		"moves":       value(&w.Moves, number),
		"suspended":   flag(&w.Suspended),
		"swappable":   flag(&w.Swappable),
		"expected":    value(&w.Expected, span),
		"at":          value(&at, span),
	})
	if err := opts.read(c); err != nil {
		return err
	}
	if ask, err = finish(ask, whole); err != nil {
		return err
	}
	w.Submitted = begin + sched.Time(at)
	s.ledger.Now = max(s.ledger.Now, w.Submitted)
	switch {
	case w.Min == 0 && w.Kind == sched.Train:
		w.Min = pods
	case w.Min == 0:
		w.Min = 1
	}
	s.lasting[w.ID], s.asks[w.ID] = w.Kind != sched.Build, ask
	if err := s.tell(sched.WorkloadSet{Workload: w}); err != nil {
		return err
	}
	return s.addPods(w.ID, pods, ask)
}

func workloadOf(kind sched.Kind) (sched.Workload, error) {
	switch kind {
	case sched.Build:
		return sched.Workload{Kind: kind, Priority: 100}, nil
	case sched.Train:
		return sched.Workload{Kind: kind, Priority: 50, Preemptible: true}, nil
	case sched.Infer:
		return sched.Workload{Kind: kind, Priority: 125}, nil
	}
	return sched.Workload{}, fmt.Errorf("kind %q should be build, train or infer", kind)
}

func (s *story) addPods(workload string, n int, ask sched.Ask) error {
	for range n {
		ev := sched.PodSet{Workload: workload, Pod: sched.Pod{ID: s.podName(workload), Ask: ask}}
		if err := s.tell(ev); err != nil {
			return err
		}
	}
	return nil
}

// grow: grow NAME pods N [min N] [ASK …]; without an ask, pods like the first.
func (s *story) grow(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	if err := c.expect("pods"); err != nil {
		return err
	}
	n, err := c.int("the number of pods")
	if err != nil {
		return err
	}
	least := w.Min
	ask, whole := sched.Ask{Resources: sched.Resources{Other: map[string]int64{}}}, 0
	opts := asking(&ask, &whole)
	opts["min"] = value(&least, number)
	before := c.at
	if err := opts.read(c); err != nil {
		return err
	}
	switch {
	case c.at == before, least != w.Min && c.at == before+2:
		ask = s.asks[w.ID]
	default:
		if ask, err = finish(ask, whole); err != nil {
			return err
		}
	}
	if least != w.Min {
		w.Min = least
		if err := s.tell(sched.WorkloadSet{Workload: w}); err != nil {
			return err
		}
	}
	return s.addPods(w.ID, n, ask)
}

// work reads the name of a workload that exists.
func (s *story) work(c *cursor) (sched.Workload, error) {
	name, err := c.next("the workload's name")
	if err != nil {
		return sched.Workload{}, err
	}
	w, ok := s.ledger.Works[name]
	if !ok {
		return w, fmt.Errorf("there is no workload %q; there are %s", name, known(s.ledger.Works))
	}
	return w, nil
}
