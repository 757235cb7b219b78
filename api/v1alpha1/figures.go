package v1alpha1

import (
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/sched"
)

// FiguresOf writes an amount of the engine for people. Fields that are not
// counted ([sched.Unbounded]) stay empty.
func FiguresOf(a sched.Amount) Figures {
	var f Figures
	if a.GPU != sched.Unbounded {
		f.GPU = decimal(a.GPU, 6)
	}
	if a.CPU != sched.Unbounded {
		f.CPU = decimal(a.CPU, 3)
	}
	if a.Memory != sched.Unbounded {
		f.Memory = resource.NewQuantity(a.Memory, resource.BinarySI).String()
	}
	return f
}

// UsesOf turns the engine's use of one owner into its status: the pools in the
// order given, and their sum.
func UsesOf(uses []sched.Use) (total Use, pools []PoolUse) {
	var sum sched.Use
	for i, u := range uses {
		pools = append(pools, PoolUse{Name: u.Pool, Use: useOf(u)})
		if i == 0 {
			sum = u
			continue
		}
		for _, s := range []struct{ to, from *sched.Amount }{
			{&sum.Quota, &u.Quota}, {&sum.Requested, &u.Requested}, {&sum.Granted, &u.Granted},
			{&sum.Borrowed, &u.Borrowed}, {&sum.Lent, &u.Lent},
		} {
			*s.to = add(*s.to, *s.from)
		}
		sum.Running += u.Running
		sum.Waiting += u.Waiting
	}
	return useOf(sum), pools
}

func useOf(u sched.Use) Use {
	return Use{
		Quota:     FiguresOf(u.Quota),
		Requested: FiguresOf(u.Requested),
		Granted:   FiguresOf(u.Granted),
		Borrowed:  FiguresOf(u.Borrowed),
		Lent:      FiguresOf(u.Lent),
		Running:   int32(min(u.Running, math.MaxInt32)),
		Waiting:   int32(min(u.Waiting, math.MaxInt32)),
	}
}

// add sums two amounts; a sum with something that is not counted is not
// counted either.
func add(a, b sched.Amount) sched.Amount {
	sum := func(x, y int64) int64 {
		if x == sched.Unbounded || y == sched.Unbounded {
			return sched.Unbounded
		}
		return x + y
	}
	return sched.Amount{GPU: sum(a.GPU, b.GPU), CPU: sum(a.CPU, b.CPU), Memory: sum(a.Memory, b.Memory)}
}

// decimal writes n × 10^-places without trailing zeros: (2_500_000, 6) is 2.5.
func decimal(n int64, places int) string {
	sign := ""
	u := uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	digits := strconv.FormatUint(u, 10)
	if len(digits) <= places {
		digits = strings.Repeat("0", places-len(digits)+1) + digits
	}
	whole, part := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if part == "" {
		return sign + whole
	}
	return sign + whole + "." + part
}
