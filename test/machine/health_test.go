package machine_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-gpu/weir/node/discover"
)

// A device that is lost is no device any more, and the others are what they were.
func TestLostDevicesAreLeftOut(t *testing.T) {
	n := newNode(t, "3x80GiB")
	look := func() (ordinals []int) {
		t.Helper()
		devices, err := discover.Devices(t.Context(), filepath.Join(built, "shim", "probe"),
			filepath.Join(built, "sim", "libnvidia-ml.so.1"), "WEIR_SIM="+n.env["WEIR_SIM"])
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range devices {
			ordinals = append(ordinals, d.Ordinal)
		}
		return ordinals
	}
	fault := filepath.Join(n.env["WEIR_SIM"], "fault")
	if err := os.WriteFile(fault, []byte("lost=1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := look(); len(got) != 2 || got[0] != 0 || got[1] != 2 {
		t.Errorf("devices %d are found, want 0 and 2", got)
	}
	if err := os.Remove(fault); err != nil {
		t.Fatal(err)
	}
	if got := look(); len(got) != 3 {
		t.Errorf("devices %d are found, want all three", got)
	}
}
