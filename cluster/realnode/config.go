package realnode

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Inside the node everything is at the same place, wherever it is outside.
const (
	inState = "/run/node/state" // Options.Dir
	inTools = "/run/node/tools"
	inShim  = "/run/node/shim"
	inSim   = "/run/node/sim"
	inWeir  = "/run/node/weir" // this program
)

// Name is the node's name. It is also the host at which the API server looks
// for the kubelet.
const Name = "localhost"

const (
	nodeIP    = "10.254.0.1"
	podRange  = "10.254.1.0/24"
	pauseName = "weir.dev/pause:1"
	// ToolsImage is an image that every node has: busybox, and gpus, which
	// says what GPUs a container sees.
	ToolsImage = "weir.dev/tools:1"
)

// life is what the processes within the node are told.
type life struct {
	APIPort     string // of the API server, on the loopback address
	KubeletPort string
	Group       string // the control group of all pods
	Simulate    string
	Arena       string // memory of this machine for what is swapped out; "" for none
	Labels      string // of the Node object
}

const containerdConfig = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile", "io.containerd.nri.v1.nri"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "` + pauseName + `"

[plugins."io.containerd.cri.v1.runtime"]
  # A machine that is itself a container may not lower these scores.
  restrict_oom_score_adj = true
  enable_cdi = true
  cdi_spec_dirs = ["/var/run/cdi"]
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"]
    conf_dir = "` + inState + `/cni"
`

// network is one bridge for all pods, which leads nowhere else.
const network = `{
  "cniVersion": "1.0.0",
  "name": "weir",
  "plugins": [{
    "type": "bridge",
    "bridge": "weir0",
    "isGateway": true,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + podRange + `"}]]}
  }]
}
`

func kubeletConfig(l life) ([]byte, error) {
	never := map[string]string{"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
		"imagefs.available": "0%", "imagefs.inodesFree": "0%"}
	port := 0
	if _, err := fmt.Sscan(l.KubeletPort, &port); err != nil {
		return nil, err
	}
	return json.MarshalIndent(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": false},
			"x509":      map[string]any{"clientCAFile": inState + "/ca.crt"},
		},
		// Who has a certificate of the cluster is its administrator.
		"authorization":            map[string]any{"mode": "AlwaysAllow"},
		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		"address":                  "127.0.0.1",
		"port":                     port,
		"healthzPort":              0,
		"resolvConf":               "",
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               "/" + l.Group,
		"failCgroupV1":             false,
		"failSwapOn":               false,
		"enforceNodeAllocatable":   []string{"none"},
		"makeIPTablesUtilChains":   false,
		"oomScoreAdj":              0,
		// Images cannot be had again, and the machine's disk is its own affair.
		"evictionHard":                never,
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"nodeStatusUpdateFrequency":   "5s",
	}, "", "  ")
}

// write writes what the node's programs read.
func (l life) write(dir string) error {
	kubelet, err := kubeletConfig(l)
	if err != nil {
		return err
	}
	own, err := json.Marshal(l)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"life.json": own, "kubelet.json": kubelet, "containerd.toml": []byte(containerdConfig),
		"cni/10-weir.conflist": []byte(network),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func readLife(dir string) (l life, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "life.json"))
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(text, &l)
}
