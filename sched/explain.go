package sched

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Explain says why a workload is where it is, without side effects. ok is
// false when the workload is not known.
func (e *Engine) Explain(id string) (ex Explanation, ok bool) { return e.explain(id, true) }

// Brief is Explain without holders and offers: the reason and the sentence for
// those who have thousands to tell.
func (e *Engine) Brief(id string) (Reason, string, bool) {
	ex, ok := e.explain(id, false)
	return ex.Reason, ex.Message, ok
}

func (e *Engine) explain(id string, whole bool) (ex Explanation, ok bool) {
	e.ensure()
	defer func(preyAt, moveAt Time, again bool) { e.preyAt, e.moveAt, e.again = preyAt, moveAt, again }(e.preyAt, e.moveAt, e.again)
	w := e.workloads[id]
	if w == nil || !w.declared {
		return Explanation{}, false
	}
	ex = Explanation{Workload: id, Owner: w.Owner, Asked: w.asked()}
	if whole && len(w.waiting) > 0 {
		ex.Position, ex.Waiting = e.position(w)
	}
	wants := w.wants()
	switch {
	case len(w.waiting) == 0 && len(w.placed) > 0 && w.booking == nil:
		ex.Reason = ReasonRunning
		ex.Message = havePlaces(len(w.placed))
	case e.owners[w.Owner] == nil:
		ex.Reason = ReasonNoOwner
		ex.Message = fmt.Sprintf("its owner %s does not exist; create it, or name another", ownerTitle(w.Owner))
	case w.booking != nil:
		e.explainPromise(w, &ex)
	case w.Suspended:
		ex.Reason = ReasonSuspended
		ex.Message = "it is suspended; resume it to let it start"
	case wants == nil:
		e.explainIncomplete(w, &ex)
	default:
		groups := wants[0] // the easiest
		e.explainWaiting(w, groups, &ex)
		if whole {
			ex.Holders = e.holders(w, e.pool(e.poolsOf(w)[0]), groups)
			ex.Offers = e.offers(w, wants)
		}
	}
	return ex, true
}

// position returns w's place among the waiting workloads of its owner.
func (e *Engine) position(w *workload) (at, of int) {
	for _, x := range e.workloads {
		if x.Owner != w.Owner || len(x.waiting) == 0 {
			continue
		}
		of++
		if x == w || cmp.Or(cmp.Compare(w.Priority, x.Priority), cmp.Compare(x.Submitted, w.Submitted), cmp.Compare(x.ID, w.ID)) < 0 {
			at++
		}
	}
	return at, of
}

func (e *Engine) explainPromise(w *workload, ex *Explanation) {
	ex.Reason = ReasonEvicting
	var leaving []string
	for _, h := range w.booking.holdings {
		leaving = append(leaving, inTheWay(h)...)
	}
	slices.Sort(leaving)
	leaving = slices.Compact(leaving)
	ex.Message = "its places are reserved; it starts when they are free"
	if len(leaving) > 0 {
		ex.Message = fmt.Sprintf("its places are reserved; it starts when %s left", plural(len(leaving), "pod has", "pods have"))
	}
	for _, id := range leaving {
		p := e.pods[id]
		ex.Holders = append(ex.Holders, Holder{
			Workload: p.w.ID, Owner: p.w.Owner, GPU: p.hold.charge[0], Why: "is leaving",
		})
	}
}

func (e *Engine) explainIncomplete(w *workload, ex *Explanation) {
	ex.Reason = ReasonIncomplete
	have := len(w.waiting) + len(w.placed)
	ex.Message = fmt.Sprintf("%s of at least %d exist; the rest has to be created first", plural(have, "pod", "pods"), w.Min)
	if w.leaving > 0 {
		ex.Message = fmt.Sprintf("%s, and %s of at least %d exist besides",
			plural(w.leaving, "pod is being stopped", "pods are being stopped"),
			plural(have, "pod", "pods"), w.Min)
	}
	ex.Findings = append(ex.Findings, Finding{
		Reason: ReasonIncomplete, Where: "workload", Message: ex.Message, Unit: "pods", Need: int64(w.Min), Have: int64(have),
	})
}

// explainWaiting goes through all that has to hold for the groups to start,
// in every pool that w may use. The first thing that does not hold, in the
// first pool, is the headline.
func (e *Engine) explainWaiting(w *workload, groups []group, ex *Explanation) {
	for _, name := range e.poolsOf(w) {
		p := e.pool(name)
		f := Finding{OK: true, Where: "node pool " + p.Name}
		f.Children = append(f.Children, e.gateFindings(w, p, groups)...)
		room := e.roomFindings(p, groups)
		if !slices.ContainsFunc(room, func(f Finding) bool { return !f.OK }) {
			if why, ok := e.together(w, p, groups); !ok {
				room = append(room, why)
			}
		}
		f.Children = append(f.Children, room...)
		if f.summarise(); f.OK {
			f.Reason, f.Message = ReasonQueued, "there is room; it is looked at next"
		}
		ex.Findings = append(ex.Findings, f)
	}
	best := ex.Findings[0]
	for _, f := range ex.Findings {
		if f.OK {
			best = f
			break
		}
	}
	ex.Reason, ex.Message = best.Reason, best.Message
}

// summarise takes over the reason of the first finding that is not OK.
func (f *Finding) summarise() {
	for _, c := range f.Children {
		if !c.OK {
			f.OK, f.Reason, f.Message = false, c.Reason, c.Message
			f.Unit, f.Need, f.Have = c.Unit, c.Need, c.Have
			return
		}
	}
}

// together places the groups' pods one after the other, in a transaction that
// is undone, and says what the first one lacks that finds no place.
func (e *Engine) together(w *workload, p *pool, groups []group) (why Finding, ok bool) {
	if held, at, r := e.placeAnyhow(w, &entry{acct: p.accountOf(w), pool: p}, groups); held != nil {
		e.rollback()
		return Finding{}, true
	} else if at != nil {
		return Finding{Reason: r, Where: ownerTitle(at.name), Message: fmt.Sprintf(
			"the devices that are free are charged more than %s has left; larger ones, or more quota, would do",
			ownerTitle(at.name))}, false
	}
	e.begin()
	defer e.rollback()
	placed := 0
	for _, g := range groups {
		for _, pod := range g.pods {
			n := e.best(e.tree(g.shape, p), nil)
			var h *holding
			if n != nil {
				h = e.lay(pod, g.shape, n, now)
			}
			if h == nil {
				why = e.roomFinding(p, g.shape, 1)
				why.Message = fmt.Sprintf("%s would find places, but not the next: %s", plural(placed, "pod", "pods"), why.Message)
				return why, false
			}
			e.put(h, inLater|inActual)
			placed++
		}
	}
	return Finding{}, true
}

// gateFindings checks quota and limit at every level of the owner tree.
func (e *Engine) gateFindings(w *workload, p *pool, groups []group) []Finding {
	var out []Finding
	demand := e.leastDemand(w, p, groups)
	for a := p.accountOf(w); a.parent != nil; a = a.parent {
		where := ownerTitle(a.name)
		if !w.Preemptible {
			out = append(out, boundFindings(ReasonOverQuota, where, "quota", a.firm, demand, a.quota,
				"work that is not preemptible has to stay within it")...)
		}
		out = append(out, boundFindings(ReasonOverLimit, where, "limit", a.used, demand, a.limit,
			"nothing may exceed it")...)
	}
	return out
}

// leastDemand is the least that the groups would be charged: where they go, if
// there is room for them, else on the nodes that suit them.
func (e *Engine) leastDemand(w *workload, p *pool, groups []group) (sum vec) {
	exact := true
	for _, g := range groups {
		sum.add(e.suitedCharge(g.shape, p).times(int64(len(g.pods))))
		exact = exact && g.shape.ask.Part.MemoryMiB == 0
	}
	if exact || !e.roomFor(groups, p) {
		return sum
	}
	e.begin()
	defer e.rollback()
	held := e.search(w, &entry{pool: p}, groups, true)
	if held != nil {
		sum = vec{}
	}
	for _, h := range held {
		sum.add(h.charge)
	}
	return sum
}

// suitedCharge is floorCharge on the nodes that suit pods of s: a request by
// memory may be charged more there than elsewhere in the pool.
func (e *Engine) suitedCharge(s *shape, p *pool) vec {
	charge := e.floorCharge(s, p)
	if s.ask.Part.MemoryMiB == 0 {
		return charge
	}
	least := int64(0)
	for _, n := range p.nodes {
		if !n.open() || n.Counted || !e.fits(s, n, nil) {
			continue
		}
		if c := e.chargeOn(s, n); c > 0 && (least == 0 || c < least) {
			least = c
		}
	}
	charge[0] = max(charge[0], least)
	return charge
}

func boundFindings(r Reason, where, what string, used, demand, bound vec, rule string) []Finding {
	var out []Finding
	units := [3]string{"microGPU", "milliCPU", "bytes"}
	for i := range bound {
		if bound[i] < 0 || demand[i] == 0 {
			continue
		}
		f := Finding{Reason: r, Where: where, Unit: units[i], Need: demand[i], Have: max(bound[i]-used[i], 0)}
		f.OK = used[i]+demand[i] <= bound[i]
		if f.OK {
			f.Message = fmt.Sprintf("%s's %s of %s leaves %s, enough for %s", where, what,
				quantity(i, bound[i]), quantity(i, f.Have), quantity(i, demand[i]))
		} else {
			f.Message = fmt.Sprintf("%s needed, but %s's %s of %s has %s left; %s",
				needed(quantity(i, demand[i])), where, what, quantity(i, bound[i]), quantity(i, f.Have), rule)
		}
		out = append(out, f)
	}
	return out
}

// roomFindings checks, for each group, models, sizes, and what is free.
func (e *Engine) roomFindings(p *pool, groups []group) []Finding {
	var out []Finding
	for _, g := range groups {
		out = append(out, e.roomFinding(p, g.shape, int64(len(g.pods))))
	}
	return out
}

// tally counts what the nodes of a pool offer to one shape.
type tally struct {
	open              int     // nodes that take pods
	model, fit        int64   // nodes with an allowed device, nodes that suit besides
	empty, free       int64   // pods that fit empty nodes, and what is free now
	devices           int64   // pods by devices alone
	by                []int64 // pods by each other resource alone
	mostFree, freeSum int64   // devices (or parts) free on the best node, and in all
	unfit             map[string]int64
	cordoned, counted int // nodes that take no pods; nodes that grant no parts
}

func (e *Engine) tally(p *pool, s *shape) tally {
	t := tally{unfit: map[string]int64{}, by: make([]int64, len(s.need))}
	for _, n := range p.nodes {
		if n.gone {
			continue
		}
		if !n.open() {
			t.cordoned++
			continue
		}
		t.open++
		if s.ask.Devices > 0 && !s.whole && n.Counted {
			t.counted++
			continue // a device plugin hands out whole devices only
		}
		if s.ask.Devices > 0 && !slices.ContainsFunc(n.devices, func(d device) bool { return e.cut(s, d.class).ok }) {
			continue
		}
		t.model++
		t.empty += e.slots(s, n, empty, manySlots)
		if why := e.unfit(s, n, nil); why != "" {
			t.unfit[why]++
			continue
		}
		t.fit++
		t.free += e.slots(s, n, now, manySlots)
		e.tallyNode(&t, s, n)
	}
	return t
}

// tallyNode counts by each resource alone.
func (e *Engine) tallyNode(t *tally, s *shape, n *node) {
	for i, amount := range s.need {
		if amount > 0 {
			t.by[i] += max(n.left(i, now), 0) / amount
		}
	}
	if s.ask.Devices == 0 {
		return
	}
	t.devices += e.deviceSlots(s, n, now, int64(s.ask.Devices), manySlots)
	one := *s
	one.ask.Devices = 1
	have := e.deviceSlots(&one, n, now, 1, manySlots)
	t.freeSum += have
	t.mostFree = max(t.mostFree, have)
}

func (e *Engine) roomFinding(p *pool, s *shape, pods int64) Finding {
	t := e.tally(p, s)
	f := Finding{Where: "node pool " + p.Name, Unit: "pods", Need: pods, Have: min(t.free, pods)}
	what := s.describe()
	fail := func(r Reason, format string, args ...any) Finding {
		f.Reason, f.Message = r, fmt.Sprintf(format, args...)
		return f
	}
	switch {
	case t.open == 0 && t.cordoned > 0:
		return fail(ReasonNoPool, "no node of %s takes pods: %s cordoned or not ready", f.Where, plural(t.cordoned, "is", "are"))
	case t.open == 0:
		return fail(ReasonNoPool, "%s has no nodes; add nodes to it or use another pool", f.Where)
	case t.model == 0 && t.counted > 0 && !s.whole:
		return fail(ReasonNoModel, "%s of %s grant whole GPUs only, by a device plugin; parts of a GPU need nodes with Weir's driver",
			plural(t.counted, "node", "nodes"), f.Where)
	case t.model == 0 && len(s.ask.Models) == 0 && len(p.classes) > 0:
		return fail(ReasonTooLarge, "no node of %s has %s; it has %s", f.Where, s.deviceTitle(), e.models(p))
	case t.model == 0:
		return fail(ReasonNoModel, "no node of %s has %s; it has %s", f.Where, s.deviceTitle(), e.models(p))
	case t.empty < pods:
		return fail(ReasonTooLarge, "%s would not fit if %s were empty: it holds %d of %s",
			plural64(pods, "pod", "pods"), f.Where, t.empty, what)
	case t.fit == 0:
		return fail(ReasonFitness, "no node of %s suits it: %s", f.Where, unfitText(t.unfit))
	}
	f.Children = e.lacks(&t, s, pods)
	for i := range f.Children {
		f.Children[i].Where = f.Where
	}
	f.OK = true
	if f.summarise(); !f.OK {
		f.Unit, f.Need, f.Have = "pods", pods, min(t.free, pods)
		return f
	}
	if t.free < pods {
		r := ReasonNoResource
		if s.ask.Devices > 0 {
			r = ReasonNoDevices
		}
		f.OK = false
		return fail(r, "enough of each is free, but not together: %d of %s find all they need on one node",
			t.free, plural64(pods, "pod", "pods"))
	}
	f.Message = fmt.Sprintf("there is room for %s", plural64(min(t.free, pods), "pod", "pods"))
	return f
}

// lacks checks each resource alone, as if the others were plenty.
func (e *Engine) lacks(t *tally, s *shape, pods int64) []Finding {
	var out []Finding
	check := func(r Reason, have int64, message string) {
		out = append(out, Finding{Reason: r, OK: have >= pods, Unit: "pods", Need: pods, Have: min(have, manySlots), Message: message})
	}
	many := plural64(pods, "pod", "pods")
	if s.ask.Devices > 0 {
		check(ReasonNoDevices, t.devices, fmt.Sprintf("%s needed; free: %s in all, %d at most on one node, enough for %d of %s",
			needed(s.askText(pods)), s.unitsText(t.freeSum), t.mostFree, t.devices, many))
	}
	for i, amount := range s.need {
		if amount == 0 {
			continue
		}
		switch have := t.by[i]; i {
		case resCPU:
			check(ReasonNoCPU, have, fmt.Sprintf("free CPU is enough for %d of %s (%s each)", have, many, quantity(1, amount)))
		case resMemory:
			check(ReasonNoMemory, have, fmt.Sprintf("free memory is enough for %d of %s (%s each)", have, many, quantity(2, amount)))
		case resPods:
			if have < pods {
				check(ReasonNoResource, have, fmt.Sprintf("free pod slots are enough for %d of %s", have, many))
			}
		default:
			check(ReasonNoResource, have, fmt.Sprintf("free %s is enough for %d of %s (%d each)", e.resNames[i], have, many, amount))
		}
	}
	return out
}

func unfitText(why map[string]int64) string {
	var parts []string
	for _, k := range sortedKeys(why) {
		parts = append(parts, fmt.Sprintf("%s (%s)", k, plural64(why[k], "node", "nodes")))
	}
	return strings.Join(parts, ", ")
}
