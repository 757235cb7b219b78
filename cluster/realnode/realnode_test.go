package realnode

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A connection goes through with both its directions and their ends, and is
// over when the relay is.
func TestRelay(t *testing.T) {
	dir, err := os.MkdirTemp("", "weir") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	far, err := net.Listen("unix", filepath.Join(dir, "far"))
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		relay(ctx, near, "unix", filepath.Join(dir, "far"))
		close(ended)
	}()

	dial := func() (net.Conn, net.Conn) {
		a, err := net.Dial("tcp", near.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		b, err := far.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return a, b
	}
	a, b := dial()
	fmt.Fprintln(a, "there")
	_ = a.(*net.TCPConn).CloseWrite()
	if line, err := bufio.NewReader(b).ReadString('\n'); line != "there\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	fmt.Fprintln(b, "and back") // the other direction lives on
	b.Close()
	if line, err := bufio.NewReader(a).ReadString('\n'); line != "and back\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	a, _ = dial()
	stop()
	if _, err := a.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives the relay")
	}
	<-ended // it has seen that its listener is closed
	if _, err := net.Dial("tcp", near.Addr().String()); err == nil {
		t.Error("the relay takes connections still")
	}
}

// What a machine lacks is said in one sentence, with what to do.
func TestCheck(t *testing.T) {
	if os.Getuid() != 0 {
		if err := (&Options{}).Check(); err == nil || !strings.Contains(err.Error(), "sudo") {
			t.Error(err)
		}
		return
	}
	path := t.TempDir()
	t.Setenv("PATH", path)
	for _, step := range []struct{ name, want string }{
		{"runc", "apt-get install runc"}, {"busybox", "apt-get install busybox-static"},
	} {
		if err := (&Options{}).Check(); err == nil || !strings.Contains(err.Error(), step.want) {
			t.Errorf("without %s: %v", step.name, err)
		}
		if err := os.WriteFile(filepath.Join(path, step.name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&Options{Tools: path}).Check(); err == nil ||
		!strings.Contains(err.Error(), "make node builds it") && !strings.Contains(err.Error(), "containernetworking-plugins") {
		t.Error(err)
	}
}

// The node's programs are told the same as its life.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	l := life{APIPort: "6443", KubeletPort: "10250", Group: "weir-node-1", Simulate: "1x80GiB", Labels: "a=b"}
	if err := l.write(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := readLife(dir); got != l || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "kubelet.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kubelet struct {
		Port       int
		CgroupRoot string
	}
	if err := json.Unmarshal(text, &kubelet); err != nil || kubelet.Port != 10250 || kubelet.CgroupRoot != "/weir-node-1" {
		t.Errorf("%+v, %v", kubelet, err)
	}
}
