// Package discover asks a driver which devices it has. It runs a small program
// that loads NVML (shim/probe.c), so that the agent needs no C itself, and a
// driver that hangs or crashes takes down that program only.
package discover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/weir-gpu/weir/node/parts"
)

// ErrNone is the answer of a driver that knows of no device that works.
var ErrNone = errors.New("the driver has no devices")

// Devices runs the program probe with the path of NVML and returns what it
// says. env is added to the program's environment, as NAME=value.
func Devices(ctx context.Context, probe, nvml string, env ...string) ([]parts.Device, error) {
	cmd := exec.CommandContext(ctx, probe, nvml)
	cmd.Env = append(os.Environ(), env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("asking the driver for its devices: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return Parse(out.String())
}

// Parse reads what the program says.
func Parse(text string) (devices []parts.Device, err error) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		if len(fields) != 4 {
			return nil, fmt.Errorf("the driver's devices cannot be read: %q has %d fields, not 4", line, len(fields))
		}
		index, err1 := strconv.Atoi(fields[0])
		memory, err2 := strconv.ParseUint(fields[2], 10, 64)
		if err := errors.Join(err1, err2); err != nil || index < 0 || memory == 0 {
			return nil, fmt.Errorf("the driver's devices cannot be read: %q: %w", line, err)
		}
		d := parts.Device{Ordinal: index, UUID: fields[1], Memory: memory, Name: fields[3]}
		if d.Bytes() == [16]byte{} {
			return nil, fmt.Errorf("device %d has the UUID %q, which is none: devices in parts (MIG) are not shared further",
				index, d.UUID)
		}
		devices = append(devices, d)
	}
	if len(devices) == 0 {
		return nil, ErrNone
	}
	return devices, nil
}
