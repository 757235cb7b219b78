package discover_test

import (
	"strings"
	"testing"

	"github.com/weir-gpu/weir/node/discover"
	"github.com/weir-gpu/weir/node/parts"
)

const first = "GPU-5d3f8a52-77f1-4d5f-9c0a-0123456789ab"

func TestParse(t *testing.T) {
	got, err := discover.Parse("0\t" + first + "\t85899345920\tNVIDIA H100 80GB\n")
	want := parts.Device{UUID: first, Name: "NVIDIA H100 80GB", Memory: 80 << 30}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Fatalf("%+v, %v", got, err)
	}
	if b := got[0].Bytes(); b[0] != 0x5d || b[15] != 0xab {
		t.Errorf("%x", b)
	}
	for text, want := range map[string]string{
		"":                                       "the driver has no devices",
		"0\tGPU\t1\n":                            "has 3 fields, not 4",
		"x\t" + first + "\t1\tH100\n":            "cannot be read",
		"0\t" + first + "\t0\tH100\n":            "cannot be read",
		"0\tMIG-1\t1\tH100\n":                    "devices in parts (MIG) are not shared further",
		"0\t" + first + "00\t1\tH100\n1\t\t\t\n": "cannot be read",
	} {
		if _, err := discover.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestDriversThatCannotBeAsked(t *testing.T) {
	_, err := discover.Devices(t.Context(), "sh", "no-such-script")
	if err == nil || !strings.Contains(err.Error(), "asking the driver for its devices") {
		t.Errorf("%v", err)
	}
}
