package past_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched/past"
)

func TestStem(t *testing.T) {
	for name, want := range map[string]string{
		"train": "train", "train-7": "train", "train-20261122": "train", "train-2026-11-22": "train", "train_x7k2p": "train",
		"resnet50-train-3": "resnet50-train", "7": "", "": "", "eval.run-12": "eval.run",
	} {
		if got := past.Stem(name); got != want {
			t.Errorf("the stem of %q is %q, want %q", name, got, want)
		}
	}
}

// The closest kind of which enough is known counts.
func TestExpectsTheClosest(t *testing.T) {
	p := &past.Past{}
	want := func(k past.Kind, ms int64) {
		t.Helper()
		if got := p.Expected(k); got != ms {
			t.Errorf("%+v is expected to take %d, want %d", k, got, ms)
		}
	}
	train := past.Kind{Owner: "a", GPUs: 8, Stem: "train"}
	want(train, 0)
	for _, took := range []int64{100, 900} {
		p.Ended(train, took)
	}
	want(train, 0) // two are not enough
	p.Ended(train, 200)
	want(train, 200)
	want(past.Kind{Owner: "a", GPUs: 8, Stem: "eval"}, 200)
	want(past.Kind{Owner: "a", GPUs: 1, Stem: "eval"}, 200)
	want(past.Kind{Owner: "b", GPUs: 8, Stem: "train"}, 0)
	for range 3 {
		p.Ended(past.Kind{Owner: "a", GPUs: 1, Stem: "eval"}, 5)
	}
	want(past.Kind{Owner: "a", GPUs: 1, Stem: "eval"}, 5)
	want(train, 200)
}

// What is expected is never outside of what the latest of the project took, and
// what nobody had for long is forgotten.
func TestStaysWithinWhatWasSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, seen := &past.Past{}, []int64{}
		k := past.Kind{Owner: "a", GPUs: 1, Stem: "x"}
		for _, took := range rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 0, 40).Draw(t, "took") {
			p.Ended(k, took)
			seen = append(seen, max(took, 1))
		}
		latest := seen[max(len(seen)-15, 0):]
		switch got := p.Expected(k); {
		case len(seen) < 3 && got != 0:
			t.Errorf("%d is expected after %d", got, len(seen))
		case len(seen) >= 3 && (got < slices.Min(latest) || got > slices.Max(latest)):
			t.Errorf("%d is expected, outside of %v", got, latest)
		}
	})
	p := &past.Past{}
	for range 3 {
		p.Ended(past.Kind{Owner: "gone", GPUs: 1}, 7)
	}
	for i := range int64(20_000) {
		p.Ended(past.Kind{Owner: "busy", GPUs: i}, 9)
	}
	if got := p.Expected(past.Kind{Owner: "gone", GPUs: 1}); got != 0 {
		t.Errorf("after thousands of other kinds, %d is still expected", got)
	}
	if got := p.Expected(past.Kind{Owner: "busy", GPUs: -1}); got != 9 {
		t.Errorf("of who goes on, %d is expected", got)
	}
}

// A Seen knows what a Past knows that saw the same in order, whatever it was
// shown before and took back, and in which order it was shown.
func TestSeenKnowsWhatAPastKnows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.Custom(func(t *rapid.T) past.Kind {
			return past.Kind{
				Owner: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "owner"),
				GPUs:  rapid.Int64Range(1, 2).Draw(t, "gpus"),
				Stem:  rapid.SampledFrom([]string{"", "train", "eval"}).Draw(t, "stem"),
			}
		})
		runs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) past.Run {
			return past.Run{Kind: kind.Draw(t, "kind"), Took: rapid.Int64Range(0, 99).Draw(t, "took")}
		}), 0, 60).Draw(t, "runs")
		p, s, order := &past.Past{}, &past.Seen{}, []int{}
		for i := range runs {
			runs[i].Ended = int64(i)
			p.Ended(runs[i].Kind, runs[i].Took)
			order = append(order, i)
		}
		for _, i := range rapid.Permutation(order).Draw(t, "first") {
			switch rapid.IntRange(0, 3).Draw(t, "shown") {
			case 0:
				s.Show(fmt.Sprint(i), past.Run{Kind: kind.Draw(t, "else"), Took: 1, Ended: 7})
			case 1:
				s.Show(fmt.Sprint("gone-", i), runs[i])
			}
		}
		for _, i := range rapid.Permutation(order).Draw(t, "then") {
			s.Forget(fmt.Sprint("gone-", i))
			s.Show(fmt.Sprint(i), runs[i])
			if s.Show(fmt.Sprint(i), runs[i]) {
				t.Fatalf("%+v is news twice", runs[i])
			}
		}
		for range 5 {
			k := kind.Draw(t, "asked")
			if got, want := s.Expected(k), p.Expected(k); got != want {
				t.Fatalf("%+v is expected to take %d, want %d", k, got, want)
			}
		}
	})
}
