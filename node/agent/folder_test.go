package agent

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// TestAUserCannotWriteWhatIsWrittenDown has a program of another user than the
// agent's try to change what the agent keeps of its job, by which it would have
// more after a restart. It may connect, and another user may not.
func TestAUserCannotWriteWhatIsWrittenDown(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has other users' programs run")
	}
	dir, err := os.MkdirTemp("", "agent") // theirs is a way that others may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Dir: dir, Devices: []parts.Device{{UUID: "GPU-0", Memory: 1 << 30}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const user, other = 12345, 12346
	shell := func(uid uint32, text string) error {
		cmd := exec.Command("sh", "-c", text)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return cmd.Run()
	}
	program := exec.Command("sleep", "60")
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Process.Kill(); _ = program.Wait() }()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() { stop(); <-ended }()
	<-a.Ready()
	var j *job
	a.do(func() {
		j, err = a.begin(Request{Name: "x", Devices: 1, Memory: 1 << 20, Compute: 100, Mode: "fair", UID: user,
			Leader: program.Process.Pid})
	})
	if err != nil {
		t.Fatal(err)
	}
	folder := a.path(j.id)
	for _, attempt := range []string{"echo {} > job.json", "rm -f job.json", "touch job.json.new", "mv job.json x",
		"rm -f weir.sock", "chmod 777 .", "cat job.json"} {
		if err := shell(user, "cd "+folder+" && "+attempt); err == nil {
			t.Errorf("its user may %s", attempt)
		}
	}
	socket := filepath.Join(folder, "weir.sock")
	if err := shell(user, "test -w "+socket); err != nil {
		t.Errorf("its user may not connect: %v", err)
	}
	if err := shell(other, "test -w "+socket); err == nil {
		t.Error("another user may connect")
	}
}

// TestThereIsAlwaysASocket restarts an agent again and again: who looks for the
// job's socket meanwhile finds one. A program that found none would have no limit.
func TestThereIsAlwaysASocket(t *testing.T) {
	a, err := New(Options{Dir: t.TempDir(), Devices: []parts.Device{{UUID: "GPU-0", Memory: 1 << 30}}})
	if err != nil {
		t.Fatal(err)
	}
	j := &job{id: "j1", request: Request{Hold: &Hold{By: "x"}}, pages: new(wire.Pages)}
	path := filepath.Join(a.door(j), "weir.sock")
	open := func() {
		l, err := j.socket(a)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	open()
	looked, missing := 0, 0
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-end:
				return
			default:
			}
			if looked++; syscall.Access(path, 0) != nil {
				missing++
			}
		}
	}()
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
		open()
	}
	close(end)
	<-done
	if missing > 0 || looked == 0 {
		t.Errorf("it was not there %d times of %d", missing, looked)
	}
}
