// Package witness asks a driver which processes have memory of its devices, and
// how much: what the driver says, whatever these processes say of themselves.
// It keeps a small program running that loads NVML (shim/probe.c), so that the
// agent needs no C, and a driver that hangs or crashes takes that program only.
//
// It does not know whose processes they are, and decides nothing.
package witness

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Unknown are the bytes of a process of which the driver cannot say them.
const Unknown = math.MaxUint64

// Look is what a driver said at one moment. A device that is not in it could
// not be asked: nothing is known of it.
type Look struct {
	At      int64                // when it began: nanoseconds of CLOCK_MONOTONIC
	Devices map[string]Processes // by universal name
}

// Processes are the bytes of each process that has a device, by its number.
type Processes map[int]uint64

// longest is the most that one look may say: a line for each of as many
// processes as a machine may have.
const longest = 1 << 22

// Read reads one look. Of a process that is named twice, as it computes and
// draws, the larger number counts: each is of all that it has.
func Read(r *bufio.Reader) (Look, error) {
	var l Look
	var of Processes
	for read := 0; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return Look{}, unexpected(err)
		}
		if read += len(line); read > longest {
			return Look{}, fmt.Errorf("the driver's processes cannot be read: there is no end to them")
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		ok := false
		switch {
		case l.Devices == nil:
			l.At, ok = began(fields)
			l.Devices = map[string]Processes{}
		case len(fields) == 1 && fields[0] == "done":
			return l, nil
		case len(fields) == 2 && fields[0] == "device" && fields[1] != "":
			of, ok = Processes{}, true
			l.Devices[fields[1]] = of
		case of != nil:
			ok = of.add(fields)
		}
		if !ok {
			return Look{}, fmt.Errorf("the driver's processes cannot be read: %q", line)
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func began(fields []string) (at int64, ok bool) {
	if len(fields) != 2 || fields[0] != "look" {
		return 0, false
	}
	at, err := strconv.ParseInt(fields[1], 10, 64)
	return at, err == nil && at >= 0
}

func (p Processes) add(fields []string) bool {
	if len(fields) != 3 || fields[0] != "process" {
		return false
	}
	pid, err := strconv.ParseUint(fields[1], 10, 31)
	if err != nil || pid == 0 {
		return false
	}
	bytes := uint64(Unknown)
	if fields[2] != "-" {
		if bytes, err = strconv.ParseUint(fields[2], 10, 64); err != nil || bytes == Unknown {
			return false
		}
	}
	if had, known := p[int(pid)]; !known || had == Unknown || bytes != Unknown && bytes > had {
		p[int(pid)] = bytes
	}
	return true
}
