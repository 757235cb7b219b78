// Package machine plays one machine: the agent, the shim and the simulated
// driver, with programs that know nothing of any of them.
package machine
