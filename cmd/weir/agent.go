package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/weir-gpu/weir/cli"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/cdi"
	"github.com/weir-gpu/weir/node/discover"
	"github.com/weir-gpu/weir/node/dra"
	"github.com/weir-gpu/weir/node/health"
	"github.com/weir-gpu/weir/node/library"
	ledger "github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/witness"
)

// lookEvery is how often the driver is asked for its devices.
const lookEvery = 30 * time.Second

// share runs the node agent, with the shim before the driver.
func share(ctx context.Context, o cli.AgentOptions) error {
	shim, driver, err := libraries(o)
	if err != nil {
		return err
	}
	lib := filepath.Join(o.Dir, "lib")
	if err := library.Lay(lib, shim, driver); err != nil {
		return err
	}
	env := map[string]string{"LD_LIBRARY_PATH": lib}
	if o.Simulate != "" {
		env["WEIR_SIM"], env["WEIR_SIM_DEVICES"] = filepath.Join(o.Dir, "sim"), o.Simulate
		if err := os.MkdirAll(env["WEIR_SIM"], 0o777); err != nil {
			return err
		}
		if err := os.Chmod(env["WEIR_SIM"], 0o1777); err != nil { // whatever the umask: all users' programs write there
			return err
		}
	}
	look := func(ctx context.Context) ([]ledger.Device, error) {
		return discover.Devices(ctx, filepath.Join(shim, "probe"), filepath.Join(driver, "libnvidia-ml.so.1"), pairs(env)...)
	}
	found, err := look(ctx)
	devices, err := health.Remember(filepath.Join(o.Dir, "devices.json"), found, err)
	if err != nil {
		return err
	}
	watching := witness.New(filepath.Join(shim, "probe"), filepath.Join(driver, "libnvidia-ml.so.1"), 10*time.Second,
		pairs(env)...)
	a, err := agent.New(agent.Options{Dir: o.Dir, Devices: devices, Env: env, Logger: o.Logger,
		Arena: o.Arena, IdleMemory: o.Idle, Look: look, LookEvery: lookEvery, Witness: watching.Look, Context: o.Context})
	if err != nil {
		return err
	}
	if o.Metrics != "" {
		listener, err := net.Listen("tcp", o.Metrics)
		if err != nil {
			return fmt.Errorf("--metrics-address: %w", err)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", a.Metrics())
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
		defer server.Close()
		go func() { _ = server.Serve(listener) }()
	}
	if o.Cluster == nil {
		return a.Run(ctx)
	}
	plugin, err := joined(o, a, devices, driver, env)
	if err != nil {
		return err
	}
	plugin.Look = look
	return together(ctx, a.Run, func(ctx context.Context) error {
		select {
		case <-a.Ready():
			return plugin.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	})
}

// joined is the agent's side towards the cluster that it is a node of.
func joined(o cli.AgentOptions, a *agent.Agent, devices []ledger.Device, driver string, env map[string]string) (
	*dra.Plugin, error,
) {
	libraries, err := cdi.Find(filepath.Join(o.Dir, "lib"), o.Root, driver, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	if o.Simulate != "" {
		libraries.Simulate(env["WEIR_SIM"], o.Simulate)
	} else {
		libraries.Nodes = func(uuid string) (string, error) { return cdi.FileOf("/proc/driver/nvidia", uuid) }
		libraries.Root = o.Root
	}
	client, err := kubernetes.NewForConfig(o.Cluster)
	if err != nil {
		return nil, err
	}
	return dra.New(dra.Options{Client: client, Node: o.Node, Kubelet: o.Kubelet, Jobs: a, Devices: devices,
		Libraries: libraries, Folder: cdi.Folder(o.CDI), Logger: o.Logger,
		LookEvery: lookEvery, SweepEvery: time.Minute}), nil
}

// libraries finds the shim, and the driver that it stands before.
func libraries(o cli.AgentOptions) (shim, driver string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	beside := filepath.Dir(self)
	if shim, err = first(o.Shim, filepath.Join(beside, "shim"), "/usr/lib/weir/shim"); err != nil {
		return "", "", fmt.Errorf("the shim's libraries are missing (%w): make shim builds them; --shim names their folder", err)
	}
	if o.Simulate != "" {
		if driver, err = first(o.Driver, filepath.Join(beside, "sim"), "/usr/lib/weir/sim"); err != nil {
			return "", "", fmt.Errorf("the simulated driver is missing (%w): make shim builds it; --driver names its folder", err)
		}
		return shim, driver, nil
	}
	if o.Driver != "" {
		return shim, o.Driver, nil
	}
	for _, dir := range usual {
		dir = filepath.Join(o.Root, dir)
		if _, err := os.Stat(filepath.Join(dir, library.Names[0])); err == nil {
			return shim, dir, nil
		}
	}
	return "", "", fmt.Errorf("there is no %s in %s: --driver names the folder of the driver's libraries, and "+
		"--simulate 1x80GiB does without a GPU", library.Names[0], strings.Join(usual, ", "))
}

// usual is where drivers put their libraries.
var usual = []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib",
	"/usr/local/nvidia/lib64", "/run/nvidia/driver/usr/lib/x86_64-linux-gnu"}

// pairs writes an environment as programs have it.
func pairs(env map[string]string) (out []string) {
	for name, value := range env {
		if name != "LD_LIBRARY_PATH" { // the driver itself is asked, not the shim
			out = append(out, name+"="+value)
		}
	}
	return out
}

// first returns the folder that was named, or else the first that is there.
func first(named string, others ...string) (string, error) {
	if named != "" {
		_, err := os.Stat(named)
		return named, err
	}
	var err error
	for _, dir := range others {
		if _, err = os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// become puts a program in the place of this one.
func become(path string, args, env []string) error {
	if err := syscall.Exec(path, args, env); err != nil {
		return fmt.Errorf("running %s: %w", path, err)
	}
	return nil // not reached
}
