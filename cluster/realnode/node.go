package realnode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gpu/weir/cluster/realnode/image"
	"github.com/weir-gpu/weir/kube/ask"
)

// Options are what a node is made of.
type Options struct {
	Dir        string // for all that the node keeps; what is in there is removed
	Address    string // the URL of the API server
	Kubeconfig string // of somebody who may be a node
	Authority  string // the certificate of who the kubelet answers to
	Tools      string // folder of kubelet, containerd, its shim and ctr: package build
	Shim, Sim  string // folders of the shim and of the simulated driver: shim/build
	Simulate   string // the GPUs: 1x80GiB
	GPUs       int    // how many those are
	Arena      string // memory of this machine for what is swapped out of them: 8GiB
	Images     []string
}

// Node is a running node.
type Node struct {
	opts  Options
	group string
	began time.Time
	stop  context.CancelFunc
	first *exec.Cmd
	alive *os.File   // the node lives as long as it is open
	locks []*os.File // of its control groups
	done  chan struct{}
}

// Check returns what the machine lacks for a node.
func (o *Options) Check() error {
	if os.Getuid() != 0 {
		return errors.New("--real-node is for root: it makes namespaces and mounts; run it with sudo")
	}
	for _, need := range []struct{ program, in string }{{"runc", "runc"}, {"busybox", "busybox-static"}} {
		if _, err := exec.LookPath(need.program); err != nil {
			return fmt.Errorf("%s is missing, which a real node needs: apt-get install %s installs it on Debian",
				need.program, need.in)
		}
	}
	if !anyOf("/opt/cni/bin/bridge", "/usr/lib/cni/bridge", "/usr/libexec/cni/bridge") {
		return errors.New("the CNI plugins are missing, which a real node needs: apt-get install containernetworking-plugins " +
			"installs them on Debian")
	}
	for _, name := range []string{"kubelet", "containerd", "containerd-shim-runc-v2", "ctr"} {
		if !anyOf(filepath.Join(o.Tools, name)) {
			return fmt.Errorf("%s has no %s, which a real node needs: make node builds it", o.Tools, name)
		}
	}
	for _, path := range []string{filepath.Join(o.Shim, "libcuda.so.1"), filepath.Join(o.Sim, "libcuda.so.1")} {
		if !anyOf(path) {
			return fmt.Errorf("%s is missing, which a real node needs: make shim builds it, with a C compiler", path)
		}
	}
	return nil
}

func anyOf(paths ...string) bool {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// Start starts a node, and removes first what an earlier one of the same
// folder has left, and the empty control groups of any that was cut off. It returns when the node's first process runs.
func Start(ctx context.Context, o Options) (*Node, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	n := &Node{opts: o, group: Group(o.Dir), began: time.Now().Truncate(time.Second), done: make(chan struct{})}
	if err := errors.Join(sweepGroups(prefix), n.clean()); err != nil {
		return nil, fmt.Errorf("removing what an earlier node has left: %w", err)
	}
	ctx, n.stop = context.WithCancel(ctx)
	if err := n.begin(ctx); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	return n, nil
}

// clean removes all that a node has outside of itself.
func (n *Node) clean() error {
	if err := removeGroups(n.group); err != nil {
		return err
	}
	return os.RemoveAll(n.opts.Dir)
}

func (n *Node) begin(ctx context.Context) error {
	o := &n.opts
	if err := os.MkdirAll(filepath.Join(o.Dir, "images"), 0o700); err != nil {
		return err
	}
	api, err := url.Parse(o.Address)
	if err != nil {
		return err
	}
	// The kubelet has the same port inside as the API server calls it by.
	kubelet, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(kubelet.Addr().String())
	if err != nil {
		return err
	}
	sockets, err := net.Listen("unix", filepath.Join(o.Dir, "api.sock"))
	if err != nil {
		kubelet.Close()
		return err
	}
	go relay(ctx, kubelet, "unix", filepath.Join(o.Dir, "kubelet.sock"))
	go relay(ctx, sockets, "tcp", api.Host)
	l := life{APIPort: api.Port(), KubeletPort: port, Group: n.group, Simulate: o.Simulate, Arena: o.Arena,
		Labels: fmt.Sprintf("nvidia.com/gpu.count=%d", o.GPUs)}
	if n.locks, err = makeGroups(n.group); err != nil {
		return err
	}
	if err := errors.Join(l.write(o.Dir), n.fill()); err != nil {
		return err
	}
	return n.launch()
}

// fill puts the node's images into its folder, and what opens the cluster.
func (n *Node) fill() error {
	o := &n.opts
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := errors.Join(copyFile(filepath.Join(o.Dir, "kubeconfig"), o.Kubeconfig),
		copyFile(filepath.Join(o.Dir, "agent.kubeconfig"), o.Kubeconfig), // it may be given lesser rights
		copyFile(filepath.Join(o.Dir, "ca.crt"), o.Authority)); err != nil {
		return err
	}
	tools := image.Image{Name: ToolsImage, Cmd: []string{"sleep", "infinity"},
		Files: map[string]string{"/bin/busybox": busybox, "/bin/gpus": filepath.Join(o.Shim, "probe")},
		Links: map[string]string{}}
	for _, applet := range []string{"sh", "sleep", "cat", "echo", "ls", "env", "ps", "kill", "id", "ip", "wget", "nc"} {
		tools.Links["/bin/"+applet] = "busybox"
	}
	if err := image.Libraries(tools.Files, filepath.Join(o.Shim, "probe")); err != nil {
		return err
	}
	pause := image.Image{Name: pauseName, Cmd: []string{"/bin/busybox", "sleep", "infinity"},
		Files: map[string]string{"/bin/busybox": busybox}}
	for name, i := range map[string]image.Image{"pause": pause, "tools": tools} {
		out, err := os.Create(filepath.Join(o.Dir, "images", name+".tar"))
		if err != nil {
			return err
		}
		if err := errors.Join(i.Write(out), out.Close()); err != nil {
			return err
		}
	}
	for i, from := range o.Images {
		if err := copyFile(filepath.Join(o.Dir, "images", fmt.Sprintf("more-%d.tar", i)), from); err != nil {
			return fmt.Errorf("the image %s cannot be read: %w", from, err)
		}
	}
	return nil
}

// launch starts the node's first process in namespaces of its own.
func (n *Node) launch() error {
	reads, writes, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reads.Close()
	log, err := os.Create(filepath.Join(n.opts.Dir, "node.log"))
	if err != nil {
		writes.Close()
		return err
	}
	defer log.Close()
	o := &n.opts
	n.first = &exec.Cmd{Path: "/proc/self/exe", Args: []string{firstName, o.Dir, o.Tools, o.Shim, o.Sim},
		Env: os.Environ(), Stdout: log, Stderr: log, ExtraFiles: []*os.File{reads},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true,
			Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC}}
	if err := n.first.Start(); err != nil {
		writes.Close()
		return fmt.Errorf("starting the node's first process in namespaces of its own: %w", err)
	}
	n.alive = writes
	go func() {
		_ = n.first.Wait() // by then all that ran in the node has ended
		close(n.done)
	}()
	return os.Symlink(fmt.Sprintf("/proc/%d/root/run/weir", n.first.Process.Pid), n.AgentDir())
}

// AgentDir is the folder of the node's agent, as it is seen from outside.
func (n *Node) AgentDir() string { return filepath.Join(n.opts.Dir, "agent") }

// Done is closed when the node has ended, by itself or by Stop.
func (n *Node) Done() <-chan struct{} { return n.done }

// Stop ends all that runs in the node, and removes what it has made. It can be
// called again.
func (n *Node) Stop() error {
	if n.alive != nil { // else it was not started
		n.alive.Close()
		<-n.done
	}
	n.stop()
	defer func() {
		for _, f := range n.locks {
			f.Close()
		}
		n.locks = nil
	}()
	return n.clean()
}

// WaitReady waits until pods can be started on the node, with GPUs.
func (n *Node) WaitReady(ctx context.Context, client kubernetes.Interface) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		missing, err := n.missing(ctx, client)
		if err == nil && missing == "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-n.done:
			return n.Failed()
		case <-ctx.Done():
			return fmt.Errorf("the real node did not get ready: %w", errors.Join(ctx.Err(), err, errors.New(missing)))
		}
	}
}

// missing says what the node still lacks.
func (n *Node) missing(ctx context.Context, client kubernetes.Interface) (string, error) {
	node, err := client.CoreV1().Nodes().Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	says := "its kubelet has not said yet how it is"
	for _, c := range node.Status.Conditions {
		// What an earlier node said is no news.
		if c.Type == corev1.NodeReady && !c.LastHeartbeatTime.Time.Before(n.began) {
			says = c.Message
			if c.Status == corev1.ConditionTrue {
				says = ""
			}
		}
	}
	if says != "" {
		return says, nil
	}
	slices, err := client.ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + Name})
	if err != nil {
		return "", err
	}
	for _, s := range slices.Items {
		if s.Spec.Driver == ask.Driver {
			return "", nil
		}
	}
	return "its agent has published no devices", nil
}

// Failed says why a node has ended by itself.
func (n *Node) Failed() error {
	text, err := os.ReadFile(filepath.Join(n.opts.Dir, "node.log"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("the real node ended: %s", strings.TrimSpace(string(text)))
}
