package kill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gpu/weir/kube/live"
)

// childEnv names the cluster of a process that is a scheduler.
const childEnv = "WEIR_KILL_KUBECONFIG"

// schedule is what the child does, until it is killed or its parent is gone.
func schedule(kubeconfig string) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	s, err := live.New(live.Options{Config: cfg, Name: "weir-0",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		cancel()
	}()
	return s.Run(ctx)
}

// child is a running scheduler.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func startChild(kubeconfig string, logs bool) (*child, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+kubeconfig)
	if logs {
		cmd.Stderr = os.Stderr
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &child{cmd: cmd, stdin: stdin}, cmd.Start()
}

// kill ends the process by SIGKILL. A scheduler that has ended before did so
// by itself, which is an error.
func (c *child) kill() error {
	if err := c.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("the scheduler was gone before it was killed: %w", err)
	}
	err := c.cmd.Wait()
	c.stdin.Close()
	if code := c.cmd.ProcessState.ExitCode(); code != -1 { // -1: ended by a signal
		return fmt.Errorf("the scheduler ended by itself with exit code %d: run with -logs to see why", code)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// killer kills schedulers. The last one that it starts lives on.
type killer struct {
	kubeconfig string
	logs       bool
	guard      *guard
	random     *rand.Rand
	alive      *child
	hurt       int // kills while pods waited
}

// Most lives end a few pods after their first one, so that bindings are under
// way; one in four ends at some moment of its start.
const (
	stillborn = 4
	infancy   = time.Second
)

func (k *killer) run(ctx context.Context, pods, kills int) (err error) {
	if k.alive, err = startChild(k.kubeconfig, k.logs); err != nil {
		return err
	}
	for left := kills; left > 0; left-- {
		if err := k.moment(ctx, pods, left); err != nil {
			k.stop()
			return fmt.Errorf("with %d kills to go: %w", left, err)
		}
		if err := k.alive.kill(); err != nil {
			return err
		}
		if k.guard.bound() < pods {
			k.hurt++
		}
		if k.alive, err = startChild(k.kubeconfig, k.logs); err != nil {
			return err
		}
	}
	return nil
}

// moment waits for the end of a life.
func (k *killer) moment(ctx context.Context, pods, left int) error {
	if k.random.IntN(stillborn) == 0 {
		select {
		case <-time.After(time.Duration(k.random.Int64N(int64(infancy)))):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	now := k.guard.bound()
	more := 1 + k.random.IntN(max(1, (pods-now)/(2*left)))
	return k.guard.until(ctx, min(pods, now+more))
}

func (k *killer) stop() {
	if k.alive != nil {
		_ = k.alive.kill()
		k.alive = nil
	}
}
