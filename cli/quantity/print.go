package quantity

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/weir-gpu/weir/sched"
)

// GPUs prints micro-GPUs: "8", "0.5". Unbounded is "none", for no limit.
func GPUs(micro int64) string {
	if micro == sched.Unbounded {
		return "none"
	}
	return decimal(micro, sched.GPU)
}

// About prints micro-GPUs with at most two decimals, for tables that people
// read: what is not nothing is never printed as 0.
func About(micro int64) string {
	const hundredth = sched.GPU / 100
	if micro < 0 || micro%hundredth == 0 {
		return GPUs(micro)
	}
	return GPUs(max((micro+hundredth/2)/hundredth, 1) * hundredth)
}

// CPUs prints milli-CPUs: "16", "0.5".
func CPUs(milli int64) string {
	if milli == sched.Unbounded {
		return "none"
	}
	return decimal(milli, 1000)
}

// Bytes prints an amount of memory in the largest unit that says it in few
// digits: "64Gi", "79.6Gi".
func Bytes(n int64) string {
	if n == sched.Unbounded {
		return "none"
	}
	units := []string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}
	value, tenths := n, int64(0)
	u := 0
	for abs(value) >= 1024 && u < len(units)-1 {
		tenths = value % 1024 * 10 / 1024
		value /= 1024
		u++
	}
	s := strconv.FormatInt(value, 10)
	if tenths != 0 && abs(value) < 1000 {
		s += "." + strconv.FormatInt(abs(tenths), 10)
	}
	return s + units[u]
}

// MiB prints an amount of GPU memory.
func MiB(n int64) string {
	if n < 0 {
		return "none"
	}
	return Bytes(n << 20)
}

// Age prints how long ago something was, as kubectl does: "5m", "3d".
func Age(d time.Duration) string { return duration.HumanDuration(d) }

// Duration prints a duration without the zeros that Go adds: "5m", not "5m0s".
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Amount prints a number in the unit that the engine gave it.
func Amount(n int64, unit string) string {
	switch unit {
	case "microGPU":
		return plural(GPUs(n), "GPU")
	case "milliCPU":
		return CPUs(n) + " CPU"
	case "bytes":
		return Bytes(n)
	case "MiB":
		return MiB(n)
	case "":
		return strconv.FormatInt(n, 10)
	}
	return plural(strconv.FormatInt(n, 10), strings.TrimSuffix(unit, "s"))
}

// Count prints a number with a noun: "1 pod", "2 pods".
func Count(n int, noun string) string { return plural(strconv.Itoa(n), noun) }

func plural(n, noun string) string {
	if n == "1" {
		return n + " " + noun
	}
	return n + " " + noun + "s"
}

// decimal prints n/unit without rounding, in as few digits as it takes.
func decimal(n, unit int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	s := sign + strconv.FormatInt(n/unit, 10)
	if rest := n % unit; rest != 0 {
		digits := strconv.FormatInt(rest+unit, 10)[1:]
		s += "." + strings.TrimRight(digits, "0")
	}
	return s
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
