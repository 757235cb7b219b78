package realnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The names by which this program is started again, inside.
const (
	firstName = "weir-node"
	keepName  = "weir-node-keep"
)

// alive is a descriptor of the first process inside, of a pipe: when it ends,
// who made the node has.
const alive = 3

// Become runs a process of a node, where this program was started as one, and
// does not return then. It has to be called before anything else is done.
func Become() {
	if len(os.Args) == 0 {
		return
	}
	var err error
	switch os.Args[0] {
	case firstName:
		err = first(os.Args[1:])
	case keepName:
		err = keep()
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// first is the first process: it makes the node's world, starts who keeps the
// node running, and takes in the ends of all processes that nobody waits for.
func first(folders []string) error {
	unix.CloseOnExec(alive)
	if err := world(folders); err != nil {
		return fmt.Errorf("making the node's world: %w", err)
	}
	go func() { // the end of who made the node is the end of the node
		_, _ = os.NewFile(alive, "alive").Read(make([]byte, 1))
		os.Exit(0)
	}()
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP) // those of the terminal are for who made it
	keeper, err := os.StartProcess("/proc/self/exe", []string{keepName}, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case pid == keeper.Pid:
			return fmt.Errorf("it ended with status %d", status.ExitStatus())
		}
	}
}

// inFolders are where the folders are inside that the first process is told of.
var inFolders = []string{inState, inTools, inShim, inSim}

// world mounts what is the node's own, where no mount is seen from outside.
func world(folders []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// What is needed from outside may be hidden by what is mounted first.
	var opened []int
	for _, path := range append(folders, self) {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %s: %w", path, err)
		}
		defer unix.Close(fd)
		opened = append(opened, fd)
	}
	mount := func(what, where, kind string, flags uintptr) error {
		if err := os.MkdirAll(where, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(what, where, kind, flags, ""); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", what, where, err)
		}
		return nil
	}
	err = errors.Join(
		mount("", "/", "", unix.MS_REC|unix.MS_SLAVE),
		mount("", "/", "", unix.MS_REC|unix.MS_SHARED), // within the node; kubelet asks for it
		mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC),
		mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV),
	)
	for i, where := range inFolders {
		err = errors.Join(err, mount(fmt.Sprintf("/proc/self/fd/%d", opened[i]), where, "", unix.MS_BIND))
	}
	if err := errors.Join(err, os.WriteFile(inWeir, nil, 0o755)); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", opened[len(inFolders)]), inWeir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting this program: %w", err)
	}
	own := filepath.Join(inState, "var")
	for _, dir := range []string{"lib/kubelet", "log/pods", "log/containers", "tmp", "lib/cni"} {
		if err := os.MkdirAll(filepath.Join(own, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(own, "run")); err != nil {
		return err
	}
	if err := unix.Mount(own, "/var", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s on /var: %w", own, err)
	}
	return loopback(nodeIP)
}

// loopback brings up the only device of a new network, with one more address.
func loopback(address string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up); err != nil {
		return fmt.Errorf("bringing up lo: %w", err)
	}
	more, err := unix.NewIfreq("lo:1")
	if err != nil {
		return err
	}
	if err := more.SetInet4Addr(net.ParseIP(address).To4()); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, more); err != nil {
		return fmt.Errorf("giving lo the address %s: %w", address, err)
	}
	// The kernel made a network of it, by the address's class: pods are within.
	if err := more.SetInet4Addr(net.IPv4bcast.To4()); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, more)
}

// keep runs the node's programs, and those again that end.
func keep() error {
	l, err := readLife(inState)
	if err != nil {
		return err
	}
	ctx := context.Background() // it ends with the node
	if err := lead(ctx, l); err != nil {
		return err
	}
	path := "PATH=" + inTools + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if err := os.Setenv("PATH", strings.TrimPrefix(path, "PATH=")); err != nil {
		return err
	}
	ended := make(chan error)
	run := func(log string, args ...string) {
		go func() { ended <- again(ctx, log, args...) }()
	}
	run("containerd.log", inTools+"/containerd", "--config", inState+"/containerd.toml")
	if err := load(ctx); err != nil {
		return err
	}
	run("agent.log", inWeir, "agent", "--kubernetes", "--kubeconfig="+inState+"/agent.kubeconfig", "--node-name="+Name,
		"--dir=/run/weir", "--shim="+inShim, "--driver="+inSim, "--simulate="+l.Simulate, "--arena="+l.Arena)
	run("kubelet.log", inTools+"/kubelet", "--config="+inState+"/kubelet.json", "--kubeconfig="+inState+"/kubeconfig",
		"--hostname-override="+Name, "--node-ip="+nodeIP, "--node-labels="+l.Labels)
	return <-ended
}

// lead connects the node with who made it, by sockets in their folder: a
// network ends at the node, files do not.
func lead(ctx context.Context, l life) error {
	api, err := net.Listen("tcp", "127.0.0.1:"+l.APIPort)
	if err != nil {
		return err
	}
	kubelet, err := net.Listen("unix", inState+"/kubelet.sock")
	if err != nil {
		return err
	}
	go relay(ctx, api, "unix", inState+"/api.sock")
	go relay(ctx, kubelet, "tcp", "127.0.0.1:"+l.KubeletPort)
	return nil
}

// again runs a program, and runs it again when it ends.
func again(ctx context.Context, log string, args ...string) error {
	out, err := os.OpenFile(filepath.Join(inState, log), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		err := cmd.Run()
		fmt.Fprintf(out, "weir: %s ended: %v; it is started again\n", filepath.Base(args[0]), err)
		time.Sleep(time.Second)
	}
}

// load waits for containerd and gives it the node's images.
func load(ctx context.Context) error {
	var err error
	for range 300 {
		var conn net.Conn
		if conn, err = net.Dial("unix", "/run/containerd/containerd.sock"); err == nil {
			conn.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("containerd does not answer, see containerd.log: %w", err)
	}
	files, err := filepath.Glob(inState + "/images/*.tar")
	if err != nil {
		return err
	}
	for _, file := range files {
		out, err := exec.CommandContext(ctx, inTools+"/ctr", "-n", "k8s.io", "images", "import", "--local", file).CombinedOutput()
		if err != nil {
			return fmt.Errorf("containerd does not take the image %s: %w: %s", filepath.Base(file), err, out)
		}
	}
	return nil
}

// copyFile copies what may be on another disk.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
