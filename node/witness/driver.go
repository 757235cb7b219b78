package witness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Driver asks one. It is for one goroutine.
type Driver struct {
	probe, nvml string
	env         []string
	patience    time.Duration
	running     *running
}

// running is the program, and what ends it.
type running struct {
	cmd  *exec.Cmd
	ask  io.WriteCloser
	told *bufio.Reader
	said *tail
	over chan struct{}
}

// New returns who runs the program probe with the path of NVML. env is added to
// its environment, as NAME=value. A look that takes longer than patience has
// failed: the driver hangs.
func New(probe, nvml string, patience time.Duration, env ...string) *Driver {
	return &Driver{probe: probe, nvml: nvml, patience: patience, env: env}
}

// Look asks once. After a failure the next one starts the program anew; who
// asks pauses between two. A program that does not even die, as the kernel's
// part of a driver hangs, is not followed by another one.
func (d *Driver) Look(ctx context.Context) (Look, error) {
	l, err := d.look(ctx)
	if err != nil {
		err = fmt.Errorf("asking the driver for its processes: %w", err)
	}
	return l, err
}

func (d *Driver) look(ctx context.Context) (Look, error) {
	if d.running != nil && d.running.over != nil && !d.running.ended(0) {
		return Look{}, errors.New("the program that does cannot be ended: the driver hangs")
	}
	if d.running == nil || d.running.over != nil {
		var err error
		if d.running, err = start(d.probe, d.nvml, d.env); err != nil {
			return Look{}, err
		}
	}
	r := d.running
	answers := make(chan answer, 1)
	go func() { answers <- r.once() }()
	late := time.NewTimer(d.patience)
	defer late.Stop()
	var a answer
	select {
	case a = <-answers:
	case <-late.C:
		a.err = fmt.Errorf("it has not answered for %v", d.patience)
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	if a.err != nil {
		r.kill()
		r.ended(time.Second) // it says why, if it can
		return Look{}, fmt.Errorf("%w%s", a.err, r.said)
	}
	return a.look, nil
}

type answer struct {
	look Look
	err  error
}

func (r *running) once() (a answer) {
	if _, a.err = io.WriteString(r.ask, "\n"); a.err == nil {
		a.look, a.err = Read(r.told)
	}
	return a
}

func start(probe, nvml string, env []string) (*running, error) {
	cmd := exec.Command(probe, nvml, "watch")
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 100 * time.Millisecond // for what it has left open to others
	said := &tail{}
	cmd.Stderr = said
	ask, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &running{cmd: cmd, ask: ask, told: bufio.NewReader(out), said: said}, nil
}

// kill ends the program, some time.
func (r *running) kill() {
	r.over = make(chan struct{})
	_ = r.cmd.Process.Kill()
	go func() {
		_ = r.cmd.Wait()
		close(r.over)
	}()
}

// ended reports whether a program that was killed has ended, within a time.
func (r *running) ended(within time.Duration) bool {
	select {
	case <-r.over:
		return true
	case <-time.After(within):
	}
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

// Close ends the program.
func (d *Driver) Close() {
	if d.running != nil && d.running.over == nil {
		d.running.kill()
		d.running.ended(time.Second)
	}
}

// tail is the end of what a program says on stderr.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const enough = 512
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-enough):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(bytes.TrimSpace(t.text)) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(string(t.text))
}
