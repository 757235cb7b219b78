package v1alpha1

import (
	"math/big"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/sched"
)

// amountField is one field of an amount: where it is here and in the engine,
// the engine's unit, and its bounds. The schema's rules say the same.
type amountField struct {
	name    string
	in      func(*Amount) *resource.Quantity
	out     func(*sched.Amount) *int64
	scale   resource.Scale // of the engine's unit
	max     resource.Quantity
	noQuota int64  // what an omitted quota stands for
	valid   string // what would be valid
	step    string // the smallest part
}

var amountFields = []amountField{
	{
		name: "gpu", scale: resource.Micro, max: resource.MustParse("1000000"),
		in:    func(a *Amount) *resource.Quantity { return a.GPU },
		out:   func(a *sched.Amount) *int64 { return &a.GPU },
		valid: `a number of GPUs from 0 to 1000000, such as 8 or "2.5"`,
		step:  "at most six decimals, the smallest part of a GPU is 0.000001",
	},
	{
		name: "cpu", scale: resource.Milli, max: resource.MustParse("1000000000"), noQuota: sched.Unbounded,
		in:    func(a *Amount) *resource.Quantity { return a.CPU },
		out:   func(a *sched.Amount) *int64 { return &a.CPU },
		valid: `a number of CPUs from 0 to 1000000000, such as 64 or "500m"`,
		step:  "at most three decimals, the smallest part of a CPU is 0.001",
	},
	{
		name: "memory", scale: 0, max: resource.MustParse("256Pi"), noQuota: sched.Unbounded,
		in:    func(a *Amount) *resource.Quantity { return a.Memory },
		out:   func(a *sched.Amount) *int64 { return &a.Memory },
		valid: `a number of bytes from 0 to 256Pi, such as "512Gi"`,
		step:  `a whole number of bytes, such as "512Gi"`,
	},
}

// parse returns q in the engine's unit, or omitted when there is none.
func (f *amountField) parse(q *resource.Quantity, omitted int64) (int64, *FieldError) {
	if q == nil {
		return omitted, nil
	}
	if q.Sign() < 0 || huge(*q) || q.Cmp(f.max) > 0 {
		return 0, &FieldError{f.name, q.String(), "", "write " + f.valid}
	}
	n, exact := exactly(*q, f.scale)
	if !exact {
		return 0, &FieldError{f.name, q.String(), "", "write " + f.step}
	}
	return n, nil
}

// huge reports whether q has more digits before the point than any field
// allows. To compare such a number, like 1e999999999, is to write it out.
func huge(q resource.Quantity) bool {
	const enough = 30
	dec := q.AsDec()
	return int64(len(dec.UnscaledBig().String()))-int64(dec.Scale()) > enough
}

// exactly returns q in units of scale (zero or negative), and whether q is a
// whole number of them that an int64 holds. It works on the decimal digits;
// no float is involved.
func exactly(q resource.Quantity, scale resource.Scale) (int64, bool) {
	dec := q.AsDec() // unscaled × 10^-dec.Scale()
	shift := -int64(scale) - int64(dec.Scale())
	n, ten := new(big.Int).Set(dec.UnscaledBig()), big.NewInt(10)
	pow := new(big.Int).Exp(ten, big.NewInt(max(shift, -shift)), nil)
	if shift >= 0 {
		n.Mul(n, pow)
	} else {
		var rest big.Int
		if n.QuoRem(n, pow, &rest); rest.Sign() != 0 {
			return 0, false
		}
	}
	return n.Int64(), n.IsInt64()
}
