package agent

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics serves what the agent knows to Prometheus.
func (a *Agent) Metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{a})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector asks the agent when it is asked. Labels are the job's ID and name,
// and the index of the device.
type collector struct{ a *Agent }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("weir_node_"+name, help, labels, nil)
}

var (
	memoryFree   = desc("memory_free_bytes", "Memory of a GPU that no job was promised.", "gpu")
	computeFree  = desc("compute_free_ratio", "Compute of a GPU that no job was promised.", "gpu")
	memoryUsed   = desc("memory_used_bytes", "Memory that a job's processes have.", "job", "name", "gpu")
	memoryLimit  = desc("memory_limit_bytes", "Memory that a job was promised.", "job", "name", "gpu")
	memoryLent   = desc("memory_lent_bytes", "Of what a job was promised: what others have, or may have.", "job", "name", "gpu")
	share        = desc("compute_ratio", "Compute that a job was promised.", "job", "name", "gpu")
	held         = desc("held_seconds_total", "Time for which a job had a GPU by leases.", "job", "name", "gpu")
	busy         = desc("busy_seconds_total", "Time in which a job had work on a GPU, by its own word.", "job", "name", "gpu")
	leases       = desc("leases_total", "Leases that a job had.", "job", "name", "gpu")
	launches     = desc("launches_total", "Launches of a job's processes.", "job", "name", "gpu")
	swapped      = desc("swapped_bytes", "Of a job's memory: what is with the host.", "job", "name", "gpu")
	swappedOut   = desc("swapped_out", "1 while a job's memory is not on its GPUs.", "job", "name", "state")
	swaps        = desc("swaps_total", "Times that a job was swapped out.", "job", "name")
	arena        = desc("arena_bytes", "Memory of the host for jobs that are swapped out.")
	arenaFree    = desc("arena_free_bytes", "Memory of the host that no job has for being swapped.")
	swapSpeed    = desc("swap_bytes_per_second", "How fast jobs were swapped lately.", "direction")
	overhead     = desc("overhead_bytes", "Of a job's memory: what the driver takes beyond what was asked for.", "job", "name", "gpu")
	contextTakes = desc("context_bytes", "Memory that the driver takes for a context, as far as is known.", "gpu")
	strangers    = desc("stranger_bytes", "Memory of a GPU that processes of no job have.", "gpu")
	strangeOnes  = desc("strangers", "Processes of no job that have memory of a GPU.", "gpu")
	endedOnes    = desc("ended_processes_total", "Processes that were ended, as they kept memory that they said was out.")
	exceeded     = desc("limit_exceeded_total", "Times that a job had more than its limit by the driver's word.")
	blind        = desc("driver_silent_total", "Times that the driver did not say what processes have.")
	waiting      = desc("waiting", "1 while a job waits for its turn.", "job", "name", "gpu")
)

func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{memoryFree, computeFree, memoryUsed, memoryLimit, memoryLent, share, held, busy,
		leases, launches, waiting, swapped, swappedOut, swaps, arena, arenaFree, swapSpeed, overhead, contextTakes, strangers,
		strangeOnes, endedOnes, exceeded, blind} {
		out <- d
	}
}

func (c collector) Collect(out chan<- prometheus.Metric) {
	var n Node
	if !c.a.do(func() { n = c.a.node() }) {
		return
	}
	say := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	for i, d := range n.Devices {
		say(memoryFree, prometheus.GaugeValue, float64(d.FreeMemory), strconv.Itoa(i))
		say(computeFree, prometheus.GaugeValue, float64(d.FreeCompute)/1000, strconv.Itoa(i))
		say(contextTakes, prometheus.GaugeValue, float64(d.Context), strconv.Itoa(i))
		say(strangers, prometheus.GaugeValue, float64(d.strange()), strconv.Itoa(i))
		say(strangeOnes, prometheus.GaugeValue, float64(len(d.Strangers)), strconv.Itoa(i))
	}
	say(endedOnes, prometheus.CounterValue, float64(n.Watch.Ended))
	say(exceeded, prometheus.CounterValue, float64(n.Watch.Beyond))
	say(blind, prometheus.CounterValue, float64(n.Watch.Failures))
	say(arena, prometheus.GaugeValue, float64(n.Arena.Memory))
	say(arenaFree, prometheus.GaugeValue, float64(n.Arena.Free))
	say(swapSpeed, prometheus.GaugeValue, n.Arena.Out, "out")
	say(swapSpeed, prometheus.GaugeValue, n.Arena.In, "in")
	for _, j := range n.Jobs {
		if j.State != In {
			say(swappedOut, prometheus.GaugeValue, 1, j.ID, j.Name, j.State)
		}
		say(swaps, prometheus.CounterValue, float64(j.Swaps), j.ID, j.Name)
		for _, u := range j.Parts {
			of := []string{j.ID, j.Name, strconv.Itoa(u.Device)}
			say(memoryUsed, prometheus.GaugeValue, float64(u.Used), of...)
			say(overhead, prometheus.GaugeValue, float64(u.Overhead), of...)
			say(swapped, prometheus.GaugeValue, float64(u.Swapped), of...)
			say(memoryLimit, prometheus.GaugeValue, float64(u.Memory), of...)
			say(memoryLent, prometheus.GaugeValue, float64(u.Lent), of...)
			say(share, prometheus.GaugeValue, float64(u.Compute)/1000, of...)
			say(held, prometheus.CounterValue, float64(u.Held)/1e9, of...)
			say(busy, prometheus.CounterValue, float64(u.Busy)/1e9, of...)
			say(leases, prometheus.CounterValue, float64(u.Leases), of...)
			say(launches, prometheus.CounterValue, float64(u.Launches), of...)
			say(waiting, prometheus.GaugeValue, map[bool]float64{true: 1}[u.Waiting], of...)
		}
	}
}
