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
		devices.Add(strconv.Itoa(i), d.Name, quantity.Bytes(int64(d.Memory)), quantity.Bytes(int64(d.FreeMemory)),
			share(d.FreeCompute))
	}
	if err := devices.Write(w, p); err != nil {
		return err
	}
	if len(a.Jobs) == 0 {
		_, err := fmt.Fprintln(w, "\nNo jobs. Start one: weir run --gpu 0.25 -- python train.py")
		return err
	}
	fmt.Fprintln(w)
	jobs := text.NewTable("JOB", "NAME", "PID", "GPU", "SHARE", "MODE", "MEMORY", "LIMIT", "GPU TIME", "STATE", "AGE")
	for _, j := range a.Jobs {
		for _, u := range j.Parts {
			jobs.Add(j.ID, j.Name, strconv.Itoa(j.Leader), strconv.Itoa(u.Device), share(u.Compute), j.Mode,
				quantity.Bytes(int64(u.Used)), quantity.Bytes(int64(u.Memory)),
				time.Duration(u.Held).Round(time.Millisecond).String(), state(u), quantity.Age(max(0, a.Now.Sub(j.Began))))
		}
	}
	return jobs.Write(w, p)
}

// share prints thousandths of a GPU.
func share(milli int64) string { return quantity.GPUs(milli * 1000) }

// state is what a job does on a device.
func state(u agent.Use) string {
	switch {
	case u.Holding:
		return "computes"
	case u.Waiting:
		return "waits for its turn"
	}
	return "idle"
}
