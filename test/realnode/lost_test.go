package realnode_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/cluster/realnode"
	"github.com/weir-gpu/weir/kube/ask"
)

// A device is lost under a container that sleeps: its pod is stopped and told why,
// and the next one gets the other device.
func TestADeviceIsLost(t *testing.T) {
	w := newWorld(t, folder(t), "--real-gpus", "2x2GiB")
	sleeper := func(name string) {
		t.Helper()
		pod := tenantPod("vision", name, map[string]string{ask.GPUFraction: "0.5"}, 1)
		pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Command = realnode.ToolsImage, []string{"sleep", "infinity"}
		if _, err := w.kube.CoreV1().Pods("vision").Create(w.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	device := func(name string) (on int) {
		t.Helper()
		w.eventually(name+" has a device", func() error {
			j, err := w.job("vision", name)
			if err == nil {
				on = j.Parts[0].Device
			}
			return err
		})
		return on
	}
	sleeper("first")
	lost := device("first")
	fault := filepath.Join(w.dir, "node", "agent", "sim", "fault")
	if err := os.WriteFile(fault, []byte(fmt.Sprintf("lost=%d", lost)), 0o644); err != nil {
		t.Fatal(err)
	}
	w.eventually("its pod is told", func() error {
		events, err := w.kube.EventsV1().Events("vision").List(w.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		want := fmt.Sprintf("its GPU gpu-%d of node localhost is lost", lost)
		for _, e := range events.Items {
			if e.Reason == "DeviceLost" && e.Regarding.Name == "first" && strings.Contains(e.Note, want) {
				return nil
			}
		}
		return fmt.Errorf("no event of %d says %q", len(events.Items), want)
	})
	w.eventually("it is gone", func() error {
		_, err := w.kube.CoreV1().Pods("vision").Get(w.Context(), "first", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, errors.New("it is there"))
	})
	sleeper("second")
	if on := device("second"); on == lost {
		t.Errorf("the next one has device %d, which is lost", on)
	}
	if n, err := w.agent(); err != nil || !n.Devices[lost].Lost || n.Devices[1-lost].Lost {
		t.Errorf("the agent says %+v, %v", n.Devices, err)
	}
	w.remove("vision", "second")
	w.leaves(syscall.SIGINT)
}
