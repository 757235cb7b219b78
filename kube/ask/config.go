package ask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/sched"
)

// The type of the opaque parameters by which a claim says which part of a
// device it is for.
const (
	ShareConfigKind       = "ShareConfig"
	ShareConfigAPIVersion = Driver + "/v1alpha1"
)

// ShareConfig says, in the opaque parameters of a claim, what the words on a
// pod say: the same texts with the same meaning.
type ShareConfig struct {
	APIVersion    string   `json:"apiVersion"`
	Kind          string   `json:"kind"`
	Fraction      string   `json:"fraction,omitempty"`
	FractionLimit string   `json:"fractionLimit,omitempty"`
	Memory        string   `json:"memory,omitempty"`
	MemoryLimit   string   `json:"memoryLimit,omitempty"`
	Compute       string   `json:"compute,omitempty"`
	ComputeLimit  string   `json:"computeLimit,omitempty"`
	Models        []string `json:"models,omitempty"`
}

// Config returns the parameters that say what s asks for, or ok false when
// there is nothing to say: any whole devices.
func (s Shape) Config() (c ShareConfig, ok bool) {
	if s.Part.IsWhole() && len(s.Models) == 0 {
		return ShareConfig{}, false
	}
	p := s.Part
	return ShareConfig{
		APIVersion:    ShareConfigAPIVersion,
		Kind:          ShareConfigKind,
		Fraction:      decimalText(p.Fraction, 6),
		FractionLimit: decimalText(p.LimitFraction, 6),
		Memory:        memoryText(p.MemoryMiB),
		MemoryLimit:   memoryText(p.LimitMemoryMiB),
		Compute:       decimalText(p.ComputeMilli, 3),
		ComputeLimit:  decimalText(p.LimitComputeMilli, 3),
		Models:        s.Models,
	}, true
}

// Part reads the parameters as a part of a device.
func (c ShareConfig) Part() (sched.Part, error) {
	return partWords{
		fraction:      configWord("fraction", c.Fraction),
		fractionLimit: configWord("fractionLimit", c.FractionLimit),
		memory:        configWord("memory", c.Memory),
		memoryLimit:   configWord("memoryLimit", c.MemoryLimit),
		compute:       configWord("compute", c.Compute),
		computeLimit:  configWord("computeLimit", c.ComputeLimit),
	}.part("fraction", "memory", "compute")
}

func configWord(name, value string) word {
	return word{ShareConfigKind + "." + name, value, value != ""}
}

// decimalText writes an integer of 10^-places as a decimal; "" for 0.
func decimalText(v int64, places int) string {
	if v == 0 {
		return ""
	}
	s := fmt.Sprintf("%0*d", places+1, v)
	return strings.TrimSuffix(strings.TrimRight(s[:len(s)-places]+"."+s[len(s)-places:], "0"), ".")
}

func memoryText(mib int64) string {
	if mib == 0 {
		return ""
	}
	return strconv.FormatInt(mib, 10) + "Mi"
}

// configFor reads the one ShareConfig that applies to a request; without one
// it returns an empty one.
func configFor(request string, configs []resourcev1.DeviceClaimConfiguration) (ShareConfig, error) {
	var found ShareConfig
	n := 0
	for i := range configs {
		c := &configs[i]
		if c.Opaque == nil || c.Opaque.Driver != Driver ||
			len(c.Requests) > 0 && !slices.Contains(c.Requests, request) {
			continue
		}
		var err error
		if found, err = ParseShareConfig(c.Opaque.Parameters.Raw); err != nil {
			return ShareConfig{}, fmt.Errorf("devices.config[%d]: %w", i, err)
		}
		n++
	}
	if n > 1 {
		return ShareConfig{}, &Error{"devices.config", strconv.Itoa(n), "are too many " + ShareConfigKind +
			"s for one request", "keep one"}
	}
	return found, nil
}

// ParseShareConfig reads opaque parameters strictly: what it does not know is
// an error.
func ParseShareConfig(raw []byte) (ShareConfig, error) {
	var c ShareConfig
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return ShareConfig{}, &Error{"opaque.parameters", short(raw), "cannot be read: " + err.Error(),
			"write a " + ShareConfigKind + " of " + ShareConfigAPIVersion}
	}
	if c.Kind != ShareConfigKind || c.APIVersion != ShareConfigAPIVersion {
		return ShareConfig{}, &Error{"opaque.parameters", c.APIVersion + " " + c.Kind, "is of an unknown kind",
			"write a " + ShareConfigKind + " of " + ShareConfigAPIVersion}
	}
	for _, m := range c.Models {
		if strings.TrimSpace(m) == "" || strings.Contains(m, ",") {
			return ShareConfig{}, &Error{ShareConfigKind + ".models", m, "is not a model", "write one product name an entry"}
		}
	}
	return c, nil
}

func short(raw []byte) string {
	if len(raw) > 80 {
		return string(raw[:80]) + "…"
	}
	return string(raw)
}

// computeCapacity reads a request for the capacity compute, in milli.
func computeCapacity(w word, q resource.Quantity) (int64, error) {
	v, ok := q.AsInt64()
	if !ok || v < 1 || v > sched.WholeCompute {
		return 0, w.bad("is out of range", "write a whole number from 1 to 1000, the thousandths of a device")
	}
	return v, nil
}
