// Package past learns how much GPU time work takes from work that ended: of the
// same project, size and name, else of the same project and size, else of the
// same project. It is for [sched.Workload.Expected], by which the discipline
// "shortest" goes.
//
// A [Past] forgets all but the latest, and dies with what it learned; a [Seen]
// keeps everything, and knows what it is shown.
package past

import (
	"slices"
	"strings"
)

// Kind is what work is told apart by.
type Kind struct {
	Owner string
	GPUs  int64  // of all pods, in millionths
	Stem  string // of its name; see [Stem]
}

const (
	// enough is how many have to have ended before anything is said of their
	// like.
	enough = 3
	// remembered is how many of a kind count, the latest.
	remembered = 15
	// kinds bounds what is kept: when so many are known, those of which none
	// ended since the last time are forgotten.
	kinds = 1 << 12
)

// Past is what was seen. The zero value has seen nothing.
type Past struct {
	recent, old map[Kind][]int64 // GPU time (ms) of the latest, oldest first
}

// Ended notes that work of a kind was done after so much GPU time (ms).
func (p *Past) Ended(k Kind, took int64) {
	for _, like := range k.likes() {
		p.note(like, took)
	}
}

func (p *Past) note(k Kind, took int64) {
	seen := append(slices.Clone(p.of(k)), max(took, 1))
	if p.recent == nil || len(p.recent) >= kinds && p.recent[k] == nil {
		p.recent, p.old = map[Kind][]int64{}, p.recent
	}
	p.recent[k] = seen[max(len(seen)-remembered, 0):]
}

func (p *Past) of(k Kind) []int64 {
	if seen := p.recent[k]; seen != nil {
		return seen
	}
	return p.old[k]
}

// Expected returns how much GPU time (ms) work of a kind takes: the median of
// its like, the closest of which enough are known. It is 0 where nobody knows.
func (p *Past) Expected(k Kind) int64 {
	for _, like := range k.likes() {
		if seen := p.of(like); len(seen) >= enough {
			return median(seen)
		}
	}
	return 0
}

func median(took []int64) int64 {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[(len(sorted)-1)/2]
}

// likes are the kinds that k counts in, the closest first.
func (k Kind) likes() []Kind {
	all := []Kind{k, {Owner: k.Owner, GPUs: k.GPUs}, {Owner: k.Owner}}
	return slices.Compact(all) // without a stem two are the same
}

// Stem is a name without what tells runs of the same work apart: numbers at its
// end, and last parts that have a digit in them. Of "train-7", "train-x7k2p" and
// "train" it is "train"; of a name of digits only it is "".
func Stem(name string) string {
	for {
		cut := strings.TrimRight(name, "-_.0123456789")
		if i := strings.LastIndexAny(cut, "-_."); i >= 0 && strings.ContainsAny(cut[i+1:], "0123456789") {
			cut = cut[:i] // a suffix that was made up, such as x7k2p
		}
		if cut == name {
			return name
		}
		name = cut
	}
}
