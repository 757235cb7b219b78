package cli

import "github.com/spf13/cobra"

func (s *session) simulate() *cobra.Command {
	return group("simulate", "Try policies on recorded work; needs no cluster",
		`Try what the scheduler would make of recorded work, on a simulated cluster and in
simulated time. The decisions come from the live scheduler's own engine.`,
		"simulate", "Simulations:", s.simulatePack(), s.simulateReplay(), s.simulateScale(),
	)
}
