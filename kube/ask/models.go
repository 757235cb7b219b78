package ask

import (
	"slices"
	"strings"
)

// ModelMatches reports whether a device of the given model is what was asked
// for. Names are compared part by part, without regard to case: "A100" and
// "a100-sxm4" match "NVIDIA-A100-SXM4-80GB", and neither matches
// "NVIDIA-A1000".
func ModelMatches(asked, model string) bool {
	a, m := modelParts(asked), modelParts(model)
	if len(a) == 0 {
		return false
	}
	for i := 0; i+len(a) <= len(m); i++ {
		if slices.Equal(a, m[i:i+len(a)]) {
			return true
		}
	}
	return false
}

func modelParts(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return r == '-' || r == '_' || r == ' '
	})
}
