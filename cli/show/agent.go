package show

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/node/agent"
)

// Agent is the GPUs of one machine and who shares them.
type Agent struct {
	agent.Node
	Now time.Time
}

// Write prints a table of devices and one of jobs.
func (a Agent) Write(w io.Writer, p text.Palette) error {
	devices := text.NewTable("GPU", "NAME", "MEMORY", "FREE", "COMPUTE FREE")
	for i, d := range a.Devices {
		free, compute := quantity.Bytes(int64(d.FreeMemory)), share(d.FreeCompute)
		if d.Lost {
			free, compute = "lost", "lost"
		}
		devices.Add(strconv.Itoa(i), d.Name, quantity.Bytes(int64(d.Memory)), free, compute)
	}
	if err := devices.Write(w, p); err != nil {
		return err
	}
	for i, d := range a.Devices {
		for _, s := range d.Strangers {
			fmt.Fprintf(w, "\nGPU %d: process %d is of no job, and has %s\n", i, s.PID, quantity.Bytes(int64(s.Bytes)))
		}
	}
	if a.Watch.Blind {
		fmt.Fprintln(w, "\nThe driver does not say what processes have: they are believed")
	}
	if a.Arena.Memory > 0 {
		fmt.Fprintf(w, "\nArena: %s of %s left%s\n", quantity.Bytes(int64(a.Arena.Free)),
			quantity.Bytes(int64(a.Arena.Memory)), speeds(a.Arena))
	}
	if len(a.Jobs) == 0 {
		_, err := fmt.Fprintln(w, "\nNo jobs. Start one: weir run --gpu 0.25 -- python train.py")
		return err
	}
	fmt.Fprintln(w)
	jobs := text.NewTable("JOB", "NAME", "PID", "GPU", "SHARE", "MODE", "POLICY",
		"MEMORY", "OVERHEAD", "LIMIT", "LENT", "SWAPPED", "GPU TIME", "STATE", "AGE")
	for _, j := range a.Jobs {
		for _, u := range j.Parts {
			jobs.Add(j.ID, j.Name, strconv.Itoa(j.Leader), strconv.Itoa(u.Device), share(u.Compute), j.Mode, j.Policy,
				quantity.Bytes(int64(u.Used)), quantity.Bytes(int64(u.Overhead)),
				quantity.Bytes(int64(max(u.Memory, u.Limit))), quantity.Bytes(int64(u.Lent)), quantity.Bytes(int64(u.Swapped)),
				time.Duration(u.Held).Round(time.Millisecond).String(), state(j, u), quantity.Age(max(0, a.Now.Sub(j.Began))))
		}
	}
	return jobs.Write(w, p)
}

// speeds prints how fast jobs were swapped, when some were.
func speeds(a agent.Arena) string {
	if a.Out == 0 || a.In == 0 {
		return ""
	}
	return fmt.Sprintf("; jobs went out at %.1f GB/s and came in at %.1f GB/s", a.Out/1e9, a.In/1e9)
}

// share prints thousandths of a GPU.
func share(milli int64) string { return quantity.GPUs(milli * 1000) }

// state is what a job does on a device.
func state(j agent.Job, u agent.Use) string {
	switch {
	case j.State == agent.Out && j.Held:
		return "swapped out by hand"
	case j.State == agent.Out && u.Swapped == 0:
		return "waits for room"
	case j.State == agent.Out:
		return "swapped out"
	case j.State == agent.Leaving:
		return "goes out"
	case j.State == agent.Returning:
		return "comes in"
	case u.Lacks > 0:
		return "waits for its memory"
	case u.Holding:
		return "computes"
	case u.Waiting:
		return "waits for its turn"
	}
	return "idle"
}
