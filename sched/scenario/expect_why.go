package scenario

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// expectOffer: expect offer NAME [pods N] [gpus N] [fraction F] [model M] [saying "…"]:
// there is such an offer, and it is true.
func (s *story) expectOffer(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	var (
		want   sched.Offer
		saying string
	)
	err = options{
		"pods": value(&want.Pods, number), "gpus": value(&want.Devices, number), "fraction": value(&want.Fraction, gpus),
		"model": value(&want.Model, text), "saying": value(&saying, text),
	}.read(c)
	if err != nil {
		return err
	}
	ex, _ := s.engine.Explain(w.ID)
	for _, o := range ex.Offers {
		if (want.Pods == 0 || o.Pods == want.Pods) && (want.Devices == 0 || o.Devices == want.Devices) &&
			(want.Fraction == 0 || o.Fraction == want.Fraction) && (want.Model == "" || o.Model == want.Model) &&
			strings.Contains(o.Message, saying) {
			return laws.TryOffer(s.rest(), w.ID, o)
		}
	}
	return fmt.Errorf("offered are %+v", ex.Offers)
}

// expectOffers: expect offers NAME hold: there are some, and all are true.
func (s *story) expectOffers(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	if err := c.expect("hold"); err != nil {
		return err
	}
	ex, _ := s.engine.Explain(w.ID)
	if len(ex.Offers) == 0 {
		return errors.New("nothing is offered")
	}
	for _, o := range ex.Offers {
		if err := laws.TryOffer(s.rest(), w.ID, o); err != nil {
			return fmt.Errorf("offer %q: %w", o.Message, err)
		}
	}
	return nil
}

// expectFinding: expect finding NAME REASON [where "…"] [need N] [have N] [saying "…"]:
// the explanation has such a finding that is not met.
func (s *story) expectFinding(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	reason, err := c.next("the reason")
	if err != nil {
		return err
	}
	var where, saying string
	need, have := int64(-1), int64(-1)
	err = options{
		"where": value(&where, text), "saying": value(&saying, text),
		"need": value(&need, number64), "have": value(&have, number64),
	}.read(c)
	if err != nil {
		return err
	}
	ex, _ := s.engine.Explain(w.ID)
	if !anyFinding(ex.Findings, func(f sched.Finding) bool {
		return !f.OK && string(f.Reason) == reason && strings.Contains(f.Where, where) &&
			strings.Contains(f.Message, saying) && (need < 0 || f.Need == need) && (have < 0 || f.Have == have)
	}) {
		return fmt.Errorf("found was %+v", ex.Findings)
	}
	return nil
}

func anyFinding(fs []sched.Finding, match func(sched.Finding) bool) bool {
	for _, f := range fs {
		if match(f) || anyFinding(f.Children, match) {
			return true
		}
	}
	return false
}

// expectHolder: expect holder NAME of OTHER [gpus N] [saying "…"]: the
// explanation of OTHER tells that NAME holds what it needs, and why it may.
func (s *story) expectHolder(c *cursor) error {
	holder, err := c.next("the holder's name")
	if err != nil {
		return err
	}
	if err := c.expect("of"); err != nil {
		return err
	}
	w, err := s.work(c)
	if err != nil {
		return err
	}
	var saying string
	held := int64(-1)
	if err := (options{"gpus": value(&held, gpus), "saying": value(&saying, text)}).read(c); err != nil {
		return err
	}
	ex, _ := s.engine.Explain(w.ID)
	for _, h := range ex.Holders {
		if h.Workload == holder && strings.Contains(h.Why, saying) && h.Why != "" && (held < 0 || h.GPU == held) {
			return nil
		}
	}
	return fmt.Errorf("holders are %+v", ex.Holders)
}

// expectTruth: expect truth: every explanation and every offer of this moment
// is true, and use is counted right.
func (s *story) expectTruth(*cursor) error {
	if b := laws.CheckRest(s.rest()); b != nil {
		return b
	}
	return nil
}
