package realnode

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// What a node that was cut off has left is removed by the next; what somebody
// uses is not: neither a process nor an owner that lives.
func TestSweep(t *testing.T) {
	places, err := hierarchies()
	if err != nil || len(places) == 0 || os.Getuid() != 0 {
		t.Skip("control groups are made by root")
	}
	own := fmt.Sprintf("weir-test-%d-", os.Getpid())
	at := filepath.Join(places[0], own)
	for _, name := range []string{"dead/kubepods/pod1", "alive/kubepods", "used/kubepods"} {
		if err := os.MkdirAll(at+name, 0o755); err != nil {
			t.Skipf("control groups cannot be made here: %v", err)
		}
	}
	t.Cleanup(func() {
		for _, name := range []string{"dead", "alive", "used"} {
			for _, group := range groupsOf(at + name) {
				_ = os.Remove(group)
			}
		}
	})
	alive, err := makeGroup(at + "alive")
	if err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = sleeper.Process.Kill(), sleeper.Wait() }()
	err = os.WriteFile(filepath.Join(at+"used/kubepods", "cgroup.procs"), []byte(strconv.Itoa(sleeper.Process.Pid)), 0)
	if err != nil {
		t.Skipf("no process can be put into a control group here: %v", err)
	}
	there := func() (left string) {
		if err := sweepGroups(own); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"dead", "alive/kubepods", "used/kubepods"} {
			if _, err := os.Stat(at + name); err == nil {
				left += name + " "
			}
		}
		return left
	}
	if left := there(); left != "alive/kubepods used/kubepods " {
		t.Errorf("left are %q", left)
	}
	_ = sleeper.Process.Kill()
	_ = sleeper.Wait()
	alive.Close() // as the kernel does when its owner ends
	if left := there(); left != "" {
		t.Errorf("left are %q, and nobody is there any more", left)
	}
}
