package realnode_test

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/cluster/realnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/client"
)

// tenants are those of the test, by namespace and name: two teams with four
// eighths of the GPU each.
type tenant struct{ namespace, name string }

func tenants() (all []tenant) {
	for i := range 8 {
		all = append(all, tenant{[]string{"vision", "language"}[i%2], fmt.Sprintf("tenant-%d", i)})
	}
	return all
}

// steady looks whether tenants go on as they did: the containers are those that
// were started, and what they have written is still there.
func (w *world) steady(all []tenant) {
	w.Helper()
	for _, x := range all {
		pod, err := w.kube.CoreV1().Pods(x.namespace).Get(w.Context(), x.name, metav1.GetOptions{})
		if err != nil {
			w.Fatal(err)
		}
		if pod.Status.Phase != corev1.PodRunning || pod.Status.ContainerStatuses[0].RestartCount != 0 {
			w.Errorf("%s is %s, and was restarted %d times", x.name, pod.Status.Phase,
				pod.Status.ContainerStatuses[0].RestartCount)
		}
		w.eventually(x.name+" speaks", func() error {
			said, err := w.words(x.namespace, x.name, 1)
			if err == nil && !said[0].Intact {
				err = errors.New("what it wrote is gone")
			}
			return err
		})
	}
}

// Eight containers have an eighth of a GPU each, by claims. Each sees its part
// and has no more, and so it stays when the kubelet and the agent are killed
// and pods are deleted, at work all the while.
func TestContainersShareADevice(t *testing.T) {
	w := newWorld(t, folder(t))
	all := tenants()
	for i, x := range all {
		w.pod(x.namespace, x.name, "0.125", i)
	}
	w.eachHasItsPart(all)
	w.agree(len(all))
	w.limitAgent()

	w.kill("/run/node/tools/kubelet ")
	w.remove(all[0].namespace, all[0].name) // it learns of that when it is back
	all = all[1:]
	w.agree(len(all))
	w.steady(all)

	w.kill("/run/node/weir agent ")
	w.remove(all[0].namespace, all[0].name)
	all = all[1:]
	w.agree(len(all))
	w.steady(all)

	// Both at once, while a pod goes and another comes in its place.
	w.remove(all[0].namespace, all[0].name)
	w.pod(all[0].namespace, "late", "0.125", 99)
	w.kill("/run/node/weir agent ")
	w.kill("/run/node/tools/kubelet ")
	all = append(all[1:], tenant{all[0].namespace, "late"})
	w.eachHasItsPart(all)
	w.agree(len(all))
	w.steady(all)
	all = w.killAtAnyInstant(all)

	for _, x := range all {
		w.remove(x.namespace, x.name)
	}
	w.agree(0)
	if taken, err := w.used(); err != nil || taken != 0 {
		t.Errorf("%d bytes of the device are taken, %v", taken, err)
	}
	if files, _ := filepath.Glob("/proc/" + w.first() + "/root/run/cdi/*"); len(files) > 0 {
		t.Errorf("the container runtime is still told of %q", files)
	}
	w.wholeGPU()
	w.leaves(syscall.SIGINT)
}

// wholeGPU runs a pod that knows of nothing but nvidia.com/gpu. Its containers
// take turns at the one device that it is granted.
func (w *world) wholeGPU() {
	w.Helper()
	one := corev1.ResourceRequirements{Limits: corev1.ResourceList{ask.WholeGPU: resource.MustParse("1")}}
	pod := tenantPod("vision", "whole", map[string]string{ask.Preemptible: "true"}, 7) // a half is its own, the rest is borrowed
	pod.Spec.Containers[0].Resources = one
	pod.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: realnode.ToolsImage, Resources: one,
		Command: []string{"gpus", "libnvidia-ml.so.1"}}}
	if _, err := w.kube.CoreV1().Pods("vision").Create(w.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.eventually("it has all of the device", func() error {
		said, err := w.words("vision", "whole", 1)
		if err == nil && said[0].Had != 80<<10 {
			err = fmt.Errorf("it has %+v", said[0])
		}
		return err
	})
	n, err := w.agent()
	if err != nil || len(n.Jobs) != 1 || n.Jobs[0].Name != "vision/whole" || n.Jobs[0].Mode != "fair" {
		w.Errorf("the agent has %+v, %v", n.Jobs, err)
	}
	w.remove("vision", "whole")
	w.agree(0)
}

// folder is one for clusters of a test: names of sockets are short.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// killAtAnyInstant lets a pod go and another come, again and again, and kills the
// agent or the kubelet somewhere in between. It does so twice, or WEIR_ROUNDS
// times.
func (w *world) killAtAnyInstant(all []tenant) []tenant {
	w.Helper()
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("WEIR_ROUNDS"), "2"))
	if err != nil {
		w.Fatal(err)
	}
	for round := range rounds {
		next := tenant{all[0].namespace, fmt.Sprintf("round-%d", round)}
		w.remove(all[0].namespace, all[0].name)
		w.pod(next.namespace, next.name, "0.125", round)
		time.Sleep(rand.N(2500 * time.Millisecond))
		w.kill([]string{"/run/node/weir agent ", "/run/node/weir agent ", "/run/node/tools/kubelet "}[round%3])
		all = append(all[1:], next)
		w.agree(len(all))
	}
	w.steady(all)
	return all
}

// eachHasItsPart waits until tenants speak, and looks at what they have.
func (w *world) eachHasItsPart(all []tenant) {
	w.Helper()
	const eighth = 10 << 10
	for _, x := range all {
		w.eventually(x.name+" has its part", func() error {
			said, err := w.words(x.namespace, x.name, 3)
			if err != nil {
				return err
			}
			if len(said) < 3 {
				return errors.New("it has just begun")
			}
			for _, s := range said {
				if s.Had != eighth || s.Total != eighth || !s.Intact {
					w.Fatalf("%s/%s: %+v", x.namespace, x.name, s)
				}
			}
			return nil
		})
	}
	for _, x := range all {
		w.hasAtMost(x, 12.5)
	}
}

// A container is swapped out and in again, while another is at work and the
// agent is killed. Then all of it is killed, and leaves nothing but what the
// next one removes.
func TestContainersAreSwapped(t *testing.T) {
	state := folder(t)
	w := newWorld(t, state, "--real-gpus", "1x2GiB", "--real-arena", "1GiB")
	w.pod("vision", "lender", "0.25", 1, "lend")
	w.pod("vision", "other", "0.25", 2)
	for _, name := range []string{"lender", "other"} {
		w.eventually(name+" speaks", func() error { _, err := w.words("vision", name, 1); return err })
	}
	lender := func() agent.Job {
		w.Helper()
		var j agent.Job
		w.eventually("the agent answers", func() (err error) { j, err = w.job("vision", "lender"); return err })
		return j
	}
	swap := func(to string) {
		w.Helper()
		w.eventually("it is swapped "+to, func() error { // the arena may not be there yet, nor the agent
			if j := lender(); j.State != to {
				err := client.New(filepath.Join(w.dir, "node", "agent")).Swap(w.Context(), j.ID, to)
				return cmp.Or(err, fmt.Errorf("it is %s", j.State))
			}
			return nil
		})
	}
	had := lender().Parts[0].Used
	swap(agent.Out)
	if part := lender().Parts[0]; part.Swapped != had || had != 256<<20 {
		w.Errorf("%d bytes are with the host, and it had %d", part.Swapped, had)
	}
	if used, err := w.used(); err != nil || used != 256<<20 {
		w.Errorf("%d bytes of the device are taken (%v), and the other has 256 MiB", used, err)
	}
	said := w.count("lender")
	w.kill("/run/node/weir agent ")
	w.eventually("the other goes on", func() error {
		if before := w.count("other"); before < 5 {
			return fmt.Errorf("it has spoken %d times", before)
		}
		return nil
	})
	if state := lender().State; state != agent.Out {
		w.Errorf("after the agent was killed it is %s", state)
	}
	w.hasAtMost(tenant{"vision", "other"}, 25)  // the device is its alone, and it has no more all the same
	if now := w.count("lender"); now > said+1 { // what it was about to say
		w.Errorf("it spoke %d times while it was out", now-said)
	}
	swap(agent.In)
	w.eventually("it goes on", func() error {
		if now := w.count("lender"); now < said+3 {
			return fmt.Errorf("it has spoken %d times, and %d before", now, said)
		}
		return nil
	})
	w.steady([]tenant{{"vision", "lender"}, {"vision", "other"}})
	w.agree(2)
	w.leaves(syscall.SIGKILL)
	newWorld(t, state).leaves(syscall.SIGINT)
}

// count is how often a tenant of vision has spoken.
func (w *world) count(name string) int {
	w.Helper()
	said, err := w.words("vision", name, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	return len(said)
}

// hasAtMost looks at how much of the device a tenant had in the last seconds;
// these are few, so that it may be a little more.
func (w *world) hasAtMost(x tenant, most float64) {
	w.Helper()
	said, err := w.words(x.namespace, x.name, 4)
	if err != nil {
		w.Fatal(err)
	}
	share := 0.0
	for _, s := range said {
		share += s.Share / float64(len(said))
	}
	w.Logf("%s/%s had %.1f%% of the device and %d MiB of memory", x.namespace, x.name, share, said[0].Had)
	if share > 1.2*most {
		w.Errorf("%s/%s had %.1f%% of the device, and may have %.1f", x.namespace, x.name, share, most)
	}
}

// leaves ends weir up in some way and looks for what it has left.
func (w *world) leaves(signal syscall.Signal) {
	w.Helper()
	first := w.first()
	w.end(signal)
	w.eventually("nothing of it runs", func() error {
		if _, err := os.Stat("/proc/" + first); !errors.Is(err, fs.ErrNotExist) {
			return errors.New("its first process lives")
		}
		if of := ofNodes(); len(of) > 0 {
			return fmt.Errorf("processes run: %q", of)
		}
		return nil
	})
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		w.Fatal(err)
	}
	if strings.Contains(string(mounts), w.dir) || strings.Contains(string(mounts), "/run/node") {
		w.Errorf("it left mounts:\n%s", mounts)
	}
	if signal == syscall.SIGKILL {
		return // the rest is for the next one
	}
	if _, err := os.Stat(filepath.Join(w.dir, "node")); !errors.Is(err, fs.ErrNotExist) {
		w.Errorf("it left its folder, %v", err)
	}
	if groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + realnode.Group(filepath.Join(w.dir, "node"))); len(groups) > 0 {
		w.Errorf("it left control groups: %q", groups)
	}
}

// ofNodes returns the processes of the machine that are, or were, a node's: by
// the program that they run, or by their control group.
func ofNodes() (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // who has just ended has none
		groups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		if strings.HasPrefix(string(line), "/run/node/") || strings.Contains(string(groups), "weir-node-") {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
