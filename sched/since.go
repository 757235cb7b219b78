package sched

// early is a pod that is said to have started after the last Decide: maybe in
// the future, as clocks differ and jump.
type early struct {
	pod *pod
	was Time // when it started by all that was known before; 0 for nothing
}

// startedAt takes over when a running pod really started.
func (e *Engine) startedAt(p *pod, since Time) {
	if since == 0 || p.since == since {
		return
	}
	e.doubtStart(p, since, p.since)
	e.setStart(p, since)
}

// doubtStart notes p when it is said to start later than now may be.
func (e *Engine) doubtStart(p *pod, since, was Time) {
	if since > e.now {
		e.early = append(e.early, early{p, was})
	}
}

// catchUp puts right what is said to start in the future: it is left alone no
// longer than what starts now.
func (e *Engine) catchUp() {
	for _, x := range e.early {
		switch {
		case x.pod.since <= e.now:
		case x.was > 0:
			e.setStart(x.pod, min(x.was, e.now))
		default:
			e.setStart(x.pod, e.now)
		}
	}
	e.early = e.early[:0]
}

// setStart makes p one that started at that time.
func (e *Engine) setStart(p *pod, since Time) {
	w := p.w
	e.unlistAll(w)
	p.since = since
	for _, h := range w.held() {
		e.addVictim(h)
	}
	e.relevel(w)
}
