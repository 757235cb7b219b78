package sched

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// mostHolders bounds the holders that an explanation names.
const mostHolders = 8

// holders lists who has what the groups need in p, the largest first, and why
// it is not taken.
func (e *Engine) holders(w *workload, p *pool, groups []group) []Holder {
	a := &asker{e: e, w: w, acct: p.accountOf(w), pool: p, demand: e.demand(groups, p)}
	a.owed = e.owed(a.acct, a.demand) != 0
	if a.demand[0] == 0 {
		return nil
	}
	held := map[*workload]int64{}
	sample := map[*workload]*holding{}
	for _, n := range p.nodes {
		for _, h := range n.holders {
			if h.w == nil || h.w == w || h.charge[0] == 0 || h.pod == nil || !e.useful(h, groups) {
				continue
			}
			held[h.w] += h.charge[0]
			if s := sample[h.w]; s == nil || h.pod.id < s.pod.id {
				sample[h.w] = h
			}
		}
	}
	var all []*workload
	for x := range held {
		all = append(all, x)
	}
	slices.SortFunc(all, func(x, y *workload) int {
		return cmp.Or(cmp.Compare(held[y], held[x]), cmp.Compare(x.ID, y.ID))
	})
	var out []Holder
	for _, x := range all[:min(len(all), mostHolders)] {
		out = append(out, Holder{Workload: x.ID, Owner: x.Owner, GPU: held[x], Why: a.whyNot(sample[x])})
	}
	return out
}

// useful reports whether h holds devices that one of the groups could use.
func (e *Engine) useful(h *holding, groups []group) bool {
	for _, g := range groups {
		for _, p := range h.parts {
			if p.dev >= 0 && e.cut(g.shape, h.node.devices[p.dev].class).ok {
				return true
			}
		}
	}
	return false
}

// whyNot says why the asker does not take h.
func (a *asker) whyNot(h *holding) string {
	w := h.w
	switch {
	case h.pod.state == leaving:
		return "is leaving"
	case h.pod.state == promised:
		return "is about to start there"
	case !w.Preemptible:
		return "is not preemptible"
	}
	if until := h.pod.since + Time(w.MinRuntime); w.MinRuntime > 0 && until > a.e.now {
		return fmt.Sprintf("is left alone %s (minimum run time)", a.e.until(until))
	}
	acct := h.acct()
	if acct == a.acct {
		if w.Priority >= a.w.Priority {
			return fmt.Sprintf("is of the same project with priority %d, not below %d", w.Priority, a.w.Priority)
		}
		return "could give way, but that would not make enough room"
	}
	x, y := siblings(a.acct, acct)
	for v := acct; ; v = v.parent {
		if !v.used.over(v.quota, a.demand) {
			return fmt.Sprintf("%s is within its quota of %s", ownerTitle(v.name), gpus(v.quota[0]))
		}
		if v == y {
			break
		}
	}
	if a.pool.Surplus == ByService {
		return fmt.Sprintf("%s borrows too, and its work was not served so much more that it would give way", ownerTitle(y.name))
	}
	u, _ := a.unit(h)
	if u.rule == Reclaim && a.mayTake(&u) {
		return "borrows and could give way, but that would not make enough room"
	}
	spared := u.spared
	if u.spared = 0; u.rule == Reclaim && a.mayTake(&u) {
		return fmt.Sprintf("is left alone by others who would borrow %s (surplus run time)", a.e.until(spared))
	}
	return fmt.Sprintf("%s borrows too, and no more than %s would", ownerTitle(y.name), ownerTitle(x.name))
}

// offers looks for requests near to the present one that would start now.
// Each is true: were it asked for instead, Decide would start it. Where pods
// are unequal, to ask for less would have to say of which; nothing like that
// is offered.
func (e *Engine) offers(w *workload, wants [][]group) []Offer {
	var out []Offer
	add := func(message string, o Offer) {
		o.Message = "would start now " + message
		out = append(out, o)
	}
	s, pods := wants[0][0].shape, len(wants[0][0].pods)
	base := Offer{Pods: pods, Devices: s.ask.Devices, Fraction: s.ask.Part.Fraction}
	unequal := slices.ContainsFunc(w.waiting, func(p *pod) bool { return p.shape != s })
	if unequal {
		base = Offer{Pods: len(w.waiting)}
	}
	if !w.Preemptible && e.wouldIfPreemptible(w, wants) {
		o := base
		o.Preemptible = true
		add("if it were preemptible", o)
	}
	if unequal {
		return out
	}
	if w.Min > 1 && pods > 1 {
		if n := e.most(pods-1, func(n int) bool { return e.startable(w, s.ask, n, !w.Preemptible) }); n > 0 {
			o := base
			o.Pods = n
			add("with "+plural(n, "pod", "pods"), o)
		}
	}
	if len(s.ask.Models) > 0 {
		out = append(out, e.modelOffers(w, s, pods)...)
	}
	out = append(out, e.smallerOffers(w, s, pods, base)...)
	return out
}

// wouldIfPreemptible reports whether w would start now if it were preemptible,
// by placing it so in a transaction that is undone.
func (e *Engine) wouldIfPreemptible(w *workload, wants [][]group) bool {
	w.Preemptible = true
	defer func() { w.Preemptible = false }()
	for _, name := range e.poolsOf(w) {
		p := e.pool(name)
		for _, groups := range wants {
			if held, _, _ := e.placeAnyhow(w, &entry{acct: p.accountOf(w), pool: p}, groups); held != nil {
				e.rollback()
				return true
			}
		}
	}
	return false
}

// smallerOffers tries fewer devices per pod, and smaller parts.
func (e *Engine) smallerOffers(w *workload, s *shape, pods int, base Offer) []Offer {
	if s.ask.Devices > 1 {
		ask := s.ask
		n := e.most(s.ask.Devices-1, func(n int) bool {
			ask.Devices = n
			return e.startable(w, ask, pods, !w.Preemptible)
		})
		if n == 0 {
			return nil
		}
		base.Devices = n
		what := plural(n, "GPU", "GPUs")
		if pods > 1 {
			what += " per pod"
		}
		return []Offer{{Message: "would start now with " + what, Pods: pods, Devices: n, Fraction: base.Fraction}}
	}
	if s.ask.Devices == 0 || s.ask.Part.MemoryMiB > 0 {
		return nil
	}
	whole := s.ask.Part.Fraction
	if whole == 0 {
		whole = GPU
	}
	const tenth = GPU / 10
	ask := s.ask
	n := e.most(int((whole-1)/tenth), func(n int) bool {
		ask.Part = Part{Fraction: int64(n) * tenth}
		return e.startable(w, ask, pods, !w.Preemptible)
	})
	if n == 0 {
		return nil
	}
	f := int64(n) * tenth
	return []Offer{{Message: fmt.Sprintf("would start now with %s of a GPU", micros(f)), Pods: pods, Devices: 1, Fraction: f}}
}

// modelOffers tries each model that is not among the allowed ones.
func (e *Engine) modelOffers(w *workload, s *shape, pods int) []Offer {
	var out []Offer
	seen := map[string]bool{}
	for _, name := range e.poolsOf(w) {
		for _, c := range e.pool(name).classes {
			model := e.classes[c].model
			if seen[model] || slices.Contains(s.ask.Models, model) {
				continue
			}
			seen[model] = true
			ask := s.ask
			ask.Models = []string{model}
			if e.startable(w, ask, pods, !w.Preemptible) {
				out = append(out, Offer{
					Message: "would start now on " + model, Pods: pods, Devices: ask.Devices,
					Fraction: ask.Part.Fraction, Model: model,
				})
			}
		}
	}
	return out
}

// most returns the largest n from 1 to high that holds, or 0. What holds for n
// holds for less.
func (e *Engine) most(high int, holds func(int) bool) int {
	return sort.Search(high, func(i int) bool { return !holds(i + 1) })
}

// startable reports whether a number of pods with that ask would start now in
// one of w's pools, by placing them in a transaction that is undone.
func (e *Engine) startable(w *workload, ask Ask, pods int, firm bool) bool {
	s := &shape{ask: ask, need: e.needs(ask.Resources), whole: ask.Part.IsWhole()}
	if ask.Fit != "" && e.cfg.Fitness != nil {
		s.moving = e.cfg.Fitness.Moving(ask.Fit)
	}
	trial := &pod{w: w, shape: s}
	for _, name := range e.poolsOf(w) {
		if e.fitsAll(trial, e.pool(name), pods, firm) {
			return true
		}
	}
	return false
}

func (e *Engine) fitsAll(trial *pod, p *pool, pods int, firm bool) bool {
	e.begin()
	defer e.rollback()
	acct := p.accountOf(trial.w)
	left := pods
	for _, n := range p.nodes {
		for left > 0 && e.slots(trial.shape, n, now, 1) > 0 && e.fits(trial.shape, n, nil) {
			h := e.lay(trial, trial.shape, n, now)
			if h == nil {
				break
			}
			if at, _ := acct.gate(h.charge, firm); at != nil {
				break
			}
			e.put(h, inLater|inActual)
			left--
		}
	}
	return left == 0
}
