package ask

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		if d := distance(name, w); d < best {
			best, meant = d, w
		}
	}
	return meant
}

// distance is how many letters have to be put in, left out or replaced to turn
// a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
