package quantity

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/sched"
)

// Ask is a demand for GPUs: whole ones by number, or a part of one.
type Ask struct {
	Whole    int
	Fraction int64 // micro-GPUs, less than sched.GPU; 0 when Whole is set
}

// maxGPUs bounds every number of GPUs, so that sums of millionths stay far
// from overflow.
const maxGPUs = 1_000_000

// ParseAsk reads what a pod asks for: "1", "8", "0.5".
func ParseAsk(s string) (Ask, error) {
	micro, err := parseDecimal(s)
	switch {
	case err != nil:
		return Ask{}, fmt.Errorf("%q is not a number of GPUs: write a whole number such as 2, "+
			"or a part of one GPU such as 0.5", s)
	case micro < 0:
		return Ask{}, fmt.Errorf("%s GPUs are fewer than none: write a whole number such as 2, "+
			"or a part of one GPU such as 0.5", s)
	case micro == 0:
		return Ask{}, fmt.Errorf("0 GPUs cannot be asked for: leave the flag out for a job without GPUs")
	case micro < sched.GPU:
		return Ask{Fraction: micro}, nil
	case micro%sched.GPU != 0:
		whole := micro / sched.GPU
		return Ask{}, fmt.Errorf("%s GPUs: a share goes up to 1 GPU and more must be whole, "+
			"so ask for %d, for %d, or for a part of one such as 0.5", s, whole, whole+1)
	}
	return Ask{Whole: int(micro / sched.GPU)}, nil
}

// ParseFraction reads a part of one GPU, in micro-GPUs: more than 0, up to 1.
func ParseFraction(s string) (int64, error) {
	micro, err := parseDecimal(s)
	if err != nil || micro <= 0 || micro > sched.GPU {
		return 0, fmt.Errorf("%q is not a part of a GPU: write a number above 0 and up to 1, such as 0.5", s)
	}
	return micro, nil
}

// ParseGPUs reads an amount of GPUs as quotas have it, in micro-GPUs: "2.5".
func ParseGPUs(s string) (int64, error) {
	micro, err := parseDecimal(s)
	if err != nil || micro < 0 {
		return 0, fmt.Errorf("%q is not an amount of GPUs: write a number from 0 with up to six decimals, "+
			"such as 8 or 2.5", s)
	}
	return micro, nil
}

// ParseMemory reads an amount of GPU memory: "10Gi", "512Mi", or a plain
// number of MiB. It returns whole MiB.
func ParseMemory(s string) (int64, error) {
	const valid = "write an amount such as 10Gi or 512Mi, or a plain number of MiB"
	if isDigits(s) {
		mib, err := strconv.ParseInt(s, 10, 32)
		if err != nil || mib == 0 {
			return 0, fmt.Errorf("%s MiB is not an amount of GPU memory that a device can have: %s", s, valid)
		}
		return mib, nil
	}
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount of memory: %s", s, valid)
	}
	if q.Sign() <= 0 {
		return 0, fmt.Errorf("%q is not more than nothing: %s", s, valid)
	}
	const mib = 1 << 20
	if bytes, exact := q.AsInt64(); exact && bytes%mib == 0 {
		return bytes / mib, nil
	}
	return 0, fmt.Errorf("%q is not a whole number of MiB: %s", s, valid)
}

// ParseResource reads an amount of CPU or memory as Kubernetes writes it.
func ParseResource(s string) (resource.Quantity, error) {
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return q, fmt.Errorf("%q is not an amount: write it as Kubernetes does, such as 4 or 500m for CPU "+
			"and 16Gi for memory", s)
	}
	if q.Sign() < 0 {
		return q, fmt.Errorf("%q is less than nothing: write 0 or more", s)
	}
	return q, nil
}

// parseDecimal reads a plain decimal number into millionths, exactly.
func parseDecimal(s string) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, point := strings.Cut(digits, ".")
	if whole == "" && frac == "" || point && frac == "" ||
		whole != "" && !isDigits(whole) || frac != "" && !isDigits(frac) {
		return 0, strconv.ErrSyntax
	}
	frac = strings.TrimRight(frac, "0")
	if len(frac) > 6 {
		return 0, strconv.ErrRange
	}
	n, err := strconv.ParseInt("0"+whole, 10, 64)
	if err != nil || n > maxGPUs {
		return 0, strconv.ErrRange
	}
	part, _ := strconv.ParseInt((frac + "000000")[:6], 10, 64)
	micro := n*sched.GPU + part
	if negative {
		micro = -micro
	}
	return micro, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
