package ask

import (
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/sched"
)

const mib = 1 << 20

const (
	fractionValid = "write a decimal above 0 and at most 1 with up to 6 places, such as \"0.5\""
	computeValid  = "write a decimal above 0 and at most 1 with up to 3 places, such as \"0.3\""
	memoryValid   = "write a whole number of MiB such as \"10240\", or a quantity such as \"10Gi\""
)

// fraction reads a part of a device in micro.
func fraction(w word) (int64, error) {
	v, err := decimal(w, 6, fractionValid)
	if err != nil {
		return 0, err
	}
	if v > sched.GPU {
		return 0, w.bad("is more than one GPU",
			fractionValid+", or ask for whole GPUs with resources.limits "+WholeGPU)
	}
	return v, nil
}

// compute reads a part of a device's compute in milli.
func compute(w word) (int64, error) {
	v, err := decimal(w, 3, computeValid)
	if err != nil {
		return 0, err
	}
	if v > sched.WholeCompute {
		return 0, w.bad("is more than the compute of one GPU", computeValid)
	}
	return v, nil
}

// decimal reads a positive decimal exactly, as an integer of 10^-places.
func decimal(w word, places int, valid string) (int64, error) {
	whole, frac, _ := strings.Cut(w.value, ".")
	if !digits(whole+frac) || strings.Contains(w.value, "..") {
		if strings.HasPrefix(w.value, "-") && digits(strings.Replace(w.value[1:], ".", "", 1)) {
			return 0, w.bad("is negative", valid)
		}
		return 0, w.bad("is not a decimal number", valid)
	}
	frac = strings.TrimRight(frac, "0")
	if len(frac) > places {
		return 0, w.bad("is finer than "+strconv.Itoa(places)+" decimal places", valid)
	}
	v, err := strconv.ParseInt(whole+frac+strings.Repeat("0", places-len(frac)), 10, 64)
	if err != nil {
		v = math.MaxInt64 // too many digits: too large for any use
	}
	if v == 0 {
		return 0, w.bad("is nothing", valid)
	}
	return v, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// memoryUnits are the suffixes with which memory may be written; milli and
// exponents are read as mistakes.
var memoryUnits = []string{"Ki", "Mi", "Gi", "Ti", "k", "M", "G", "T"}

// memory reads an amount of device memory in MiB. A plain number is MiB. What
// is not a whole number of MiB is rounded up, as Kubernetes rounds capacity
// requests up to a device's step.
func memory(w word) (int64, error) {
	if digits(w.value) {
		v, err := strconv.ParseInt(w.value, 10, 64)
		if err != nil || v > math.MaxInt64/mib {
			return 0, w.bad("is more memory than any GPU has", memoryValid)
		}
		if v == 0 {
			return 0, w.bad("is nothing", memoryValid)
		}
		return v, nil
	}
	if !hasUnit(w.value) {
		return 0, w.bad("is not an amount of memory", memoryValid)
	}
	q, err := resource.ParseQuantity(w.value)
	if err != nil {
		return 0, w.bad("is not an amount of memory", memoryValid)
	}
	return quantityMiB(w, q)
}

func hasUnit(s string) bool {
	for _, u := range memoryUnits {
		if strings.HasSuffix(s, u) {
			return true
		}
	}
	return false
}

// quantityMiB reads a quantity of bytes in whole MiB, rounded up.
func quantityMiB(w word, q resource.Quantity) (int64, error) {
	switch {
	case q.Sign() == 0:
		return 0, w.bad("is nothing", memoryValid)
	case q.Sign() < 0:
		return 0, w.bad("is negative", memoryValid)
	case q.CmpInt64(math.MaxInt64-mib) > 0:
		return 0, w.bad("is more memory than any GPU has", memoryValid)
	}
	return (q.Value() + mib - 1) / mib, nil
}

// whole reads a whole number between low and high.
func whole(w word, low, high int64, valid string) (int64, error) {
	v, err := strconv.ParseInt(w.value, 10, 64)
	if err != nil || strings.HasPrefix(w.value, "+") {
		return 0, w.bad("is not a whole number", valid)
	}
	if v < low {
		return 0, w.bad("is too small", valid)
	}
	if v > high {
		return 0, w.bad("is too large", valid)
	}
	return v, nil
}
