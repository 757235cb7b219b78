package ask

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sched"
)

// Shape is the part of an ask that concerns devices: pods of equal shape use
// one claim template.
type Shape struct {
	Devices int
	Part    sched.Part
	Models  []string // sorted
}

// ShapeOf returns the shape of an ask.
func ShapeOf(a sched.Ask) Shape {
	models := slices.Sorted(slices.Values(a.Models))
	return Shape{a.Devices, a.Part, slices.Compact(models)}
}

// TemplateName is the name of the ResourceClaimTemplate for claims of the
// shape: the same wherever and whenever it is computed.
func (s Shape) TemplateName() string {
	p := s.Part
	text := fmt.Sprintf("%d %d %d %d %d %d %d %s", s.Devices,
		p.Fraction, p.MemoryMiB, p.ComputeMilli, p.LimitFraction, p.LimitMemoryMiB, p.LimitComputeMilli,
		strings.Join(s.Models, ","))
	sum := sha256.Sum256([]byte(text))
	return ClaimRef + "-" + hex.EncodeToString(sum[:8])
}
