package cli

import (
	"time"

	"github.com/spf13/cobra"
)

func (s *session) simulate() *cobra.Command {
	return group("simulate", "Try policies on recorded work; needs no cluster",
		`Try what the scheduler would make of recorded work, on a simulated cluster and in
simulated time. The decisions come from the live scheduler's own engine.`,
		"simulate", "Simulations:", s.simulatePack(), s.simulateReplay(), s.simulateScale(),
	)
}

// progress returns what notes how far a simulation is, not more often than each
// ten seconds. format takes what is done and all there is to do.
func (s *session) progress(format func(done, all int) string) func(done, all int) {
	last := s.now()
	return func(done, all int) {
		if now := s.now(); now.Sub(last) >= 10*time.Second {
			last = now
			s.note("%s", format(done, all))
		}
	}
}
