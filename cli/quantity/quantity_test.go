package quantity

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	_ "github.com/weir-gpu/weir/test/seed"
)

func TestParseAsk(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Ask
		err  string // part of the sentence
	}{
		{in: "1", want: Ask{Whole: 1}},
		{in: "8", want: Ask{Whole: 8}},
		{in: "1.0", want: Ask{Whole: 1}},
		{in: "0.5", want: Ask{Fraction: 500_000}},
		{in: ".25", want: Ask{Fraction: 250_000}},
		{in: "0.000001", want: Ask{Fraction: 1}},
		{in: "1.5", err: "1.5 GPUs: a share goes up to 1 GPU and more must be whole, so ask for 1, for 2, " +
			"or for a part of one such as 0.5"},
		{in: "0", err: "leave the flag out for a job without GPUs"},
		{in: "-1", err: "-1 GPUs are fewer than none"},
		{in: "", err: `"" is not a number of GPUs`},
		{in: "half", err: `"half" is not a number of GPUs: write a whole number such as 2, or a part of one GPU such as 0.5`},
		{in: "1e3", err: "is not a number of GPUs"},
		{in: "0.0000001", err: "is not a number of GPUs"},
		{in: "1.", err: "is not a number of GPUs"},
		{in: "99999999999999999999", err: "is not a number of GPUs"},
		{in: "NaN", err: "is not a number of GPUs"},
		{in: "0x1", err: "is not a number of GPUs"},
	} {
		got, err := ParseAsk(tc.in)
		check(t, "ParseAsk", tc.in, got, tc.want, err, tc.err)
	}
}

func TestParseMemory(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want int64
		err  string
	}{
		{in: "10Gi", want: 10240},
		{in: "512Mi", want: 512},
		{in: "4096", want: 4096},
		{in: "1Ki", err: "not a whole number of MiB"},
		{in: "10G", err: "not a whole number of MiB"},
		{in: "0", err: "not an amount of GPU memory"},
		{in: "0Gi", err: "not more than nothing"},
		{in: "-4Gi", err: "not more than nothing"},
		{in: "ten", err: `"ten" is not an amount of memory: write an amount such as 10Gi or 512Mi, or a plain number of MiB`},
		{in: "99999999999", err: "not an amount of GPU memory"},
	} {
		got, err := ParseMemory(tc.in)
		check(t, "ParseMemory", tc.in, got, tc.want, err, tc.err)
	}
}

func TestParseFractionAndGPUs(t *testing.T) {
	for _, tc := range []struct {
		in             string
		fraction, gpus int64 // -1: refused
	}{
		{"0.5", 500_000, 500_000},
		{"1", sched.GPU, sched.GPU},
		{"0", -1, 0},
		{"2.5", -1, 2_500_000},
		{"-1", -1, -1},
		{"x", -1, -1},
	} {
		if got, err := ParseFraction(tc.in); (err != nil) != (tc.fraction < 0) || err == nil && got != tc.fraction {
			t.Errorf("ParseFraction(%q) = %d, %v; want %d", tc.in, got, err, tc.fraction)
		}
		if got, err := ParseGPUs(tc.in); (err != nil) != (tc.gpus < 0) || err == nil && got != tc.gpus {
			t.Errorf("ParseGPUs(%q) = %d, %v; want %d", tc.in, got, err, tc.gpus)
		}
	}
}

func TestPrint(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{GPUs(8_000_000), "8"},
		{GPUs(500_000), "0.5"},
		{GPUs(-2_250_000), "-2.25"},
		{GPUs(sched.Unbounded), "none"},
		{About(876_662), "0.88"},
		{About(2_000_000), "2"},
		{About(1), "0.01"},
		{About(4_995_001), "5"},
		{CPUs(16_000), "16"},
		{CPUs(250), "0.25"},
		{Bytes(0), "0"},
		{Bytes(64 << 30), "64Gi"},
		{Bytes(81559 << 20), "79.6Gi"},
		{MiB(512), "512Mi"},
		{Duration(5 * time.Minute), "5m"},
		{Duration(2 * time.Hour), "2h"},
		{Duration(90 * time.Second), "1m30s"},
		{Amount(1_000_000, "microGPU"), "1 GPU"},
		{Amount(2_500_000, "microGPU"), "2.5 GPUs"},
		{Amount(1, "pods"), "1 pod"},
		{Amount(3, "nodes"), "3 nodes"},
		{Amount(4000, "milliCPU"), "4 CPU"},
		{Amount(1<<34, "bytes"), "16Gi"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

// What is printed is read back as the same amount.
func TestGPUsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micro := rapid.Int64Range(0, maxGPUs*sched.GPU).Draw(t, "micro")
		if got, err := ParseGPUs(GPUs(micro)); err != nil || got != micro {
			t.Fatalf("%d is printed as %s and read as %d, %v", micro, GPUs(micro), got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "0.5", "1.5", "-1", "10Gi", "1e9", "", ".", "00.10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAsk(s); err == nil && (a.Whole > 0) == (a.Fraction > 0) {
			t.Errorf("ParseAsk(%q) = %+v", s, a)
		}
		if f, err := ParseFraction(s); err == nil && (f <= 0 || f > sched.GPU) {
			t.Errorf("ParseFraction(%q) = %d", s, f)
		}
		if n, err := ParseMemory(s); err == nil && n <= 0 {
			t.Errorf("ParseMemory(%q) = %d", s, n)
		}
	})
}

func check[T comparable](t *testing.T, fn, in string, got, want T, err error, sentence string) {
	t.Helper()
	switch {
	case sentence == "" && err != nil:
		t.Errorf("%s(%q): %v", fn, in, err)
	case sentence != "" && (err == nil || !strings.Contains(err.Error(), sentence)):
		t.Errorf("%s(%q): error %v, want %q", fn, in, err, sentence)
	case sentence == "" && got != want:
		t.Errorf("%s(%q) = %v, want %v", fn, in, got, want)
	}
}
