package ask

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/spelling"
)

// Misspelt is a word that is none of Weir's but nearly one.
type Misspelt struct{ Word, Meant string }

// MisspeltWords returns the annotations and labels on obj that look like slips
// of the pen, in order. They mean nothing to Weir, which their author should
// know.
func MisspeltWords(obj metav1.Object) []Misspelt {
	var slips []Misspelt
	for _, written := range []map[string]string{obj.GetAnnotations(), obj.GetLabels()} {
		for name := range written {
			if meant := nearly(name); meant != "" {
				slips = append(slips, Misspelt{name, meant})
			}
		}
	}
	slices.SortFunc(slips, func(a, b Misspelt) int { return strings.Compare(a.Word, b.Word) })
	return slices.Compact(slips)
}

// nearly returns the word of Weir's that name is at most two letters away
// from, "" if there is none or it is one itself.
func nearly(name string) string {
	if !strings.HasPrefix(name, Prefix) || slices.Contains(vocabulary, name) {
		return ""
	}
	const most = 2
	best, meant := most+1, ""
	for _, w := range vocabulary {
		if d := spelling.Distance(name, w); d < best {
			best, meant = d, w
		}
	}
	return meant
}
