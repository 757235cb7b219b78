package replay

import "math"

// shortest is the mean wait (s) that is no worse than any: below it nobody
// notices.
const shortest = 60

// Fairness says who is worse off than alone, by the mean time from submission
// to completion: how many of the tenants (0 to 1) by more than anybody would
// notice, and the worst multiple.
type Fairness struct {
	Worse float64 `json:"worse"`
	Worst float64 `json:"worst"`
}

// Compare holds r against a result in which every tenant was alone: it sets
// the tenants' Bound and FinishTime.
func (r *Result) Compare(alone *Result) Fairness {
	f, tenants, worse := Fairness{}, 0, 0
	for i := range r.Tenants {
		t := &r.Tenants[i]
		was := alone.tenant(t.Name)
		if was == nil {
			continue
		}
		t.Bound = math.Max(was.Wait.Mean, shortest)
		if t.Jobs == 0 || was.Completion.Mean == 0 {
			continue
		}
		t.FinishTime = t.Completion.Mean / was.Completion.Mean
		f.Worst = math.Max(f.Worst, t.FinishTime)
		tenants++
		if t.FinishTime > 1 && t.Wait.Mean > t.Bound {
			worse++
		}
	}
	if tenants > 0 {
		f.Worse = float64(worse) / float64(tenants)
	}
	return f
}

func (r *Result) tenant(name string) *Tenant {
	for i := range r.Tenants {
		if r.Tenants[i].Name == name {
			return &r.Tenants[i]
		}
	}
	return nil
}

// Worse returns the tenants whose jobs wait longer on average than alone, of
// those that were compared, each with how many times its bound it waits.
func (r *Result) Worse() map[string]float64 {
	out := map[string]float64{}
	for _, t := range r.Tenants {
		if t.Bound > 0 && t.Wait.Mean > t.Bound {
			out[t.Name] = t.Wait.Mean / t.Bound
		}
	}
	return out
}

// NoWorse reports whether r is no worse than alone in any way: the mean wait
// and the p99 of all jobs, and the mean wait of every tenant.
func (r *Result) NoWorse(alone *Result) bool {
	return len(r.Worse()) == 0 && r.Wait.Mean <= math.Max(alone.Wait.Mean, shortest) &&
		r.Wait.P99 <= math.Max(alone.Wait.P99, shortest)
}
