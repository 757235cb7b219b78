package sched

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func roomsFor(takes ...take) *rooms {
	r := &rooms{unit: 1, cols: mostUnits + 1, takes: takes}
	r.merge()
	return r
}

// play lets pods come at random until none fits, and returns the parts used.
func (r *rooms) play(random *rand.Rand, parts, left int64) int64 {
	all := parts
	for {
		weights := int64(0)
		for _, x := range r.takes {
			if x.parts <= parts && x.need <= left {
				weights += x.weight
			}
		}
		if weights == 0 {
			return all - parts
		}
		at := random.Int64N(weights)
		for _, x := range r.takes {
			if x.parts > parts || x.need > left {
				continue
			}
			if at -= x.weight; at < 0 {
				parts, left = parts-x.parts, left-x.need
				break
			}
		}
	}
}

// What rooms work out is the mean of what is used when pods come at random.
func TestRoomsAreWhatIsUsedOnAverage(t *testing.T) {
	r := roomsFor(take{weight: 8, parts: 60, need: 70}, take{weight: 4, parts: 30, need: 5},
		take{weight: 12, parts: 20, need: 44}, take{weight: 1, parts: 0, need: 90})
	const games = 40_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ parts, left int64 }{{480, 300}, {480, 1000}, {240, 100}, {90, 40}, {30, 4}} {
		sum, squares := 0.0, 0.0
		for range games {
			used := float64(r.play(random, c.parts, c.left))
			sum += used
			squares += used * used
		}
		mean := sum / games
		deviation := math.Sqrt(max(squares/games-mean*mean, 0) / games)
		got := float64(r.look(c.parts, c.left)) / float64(GPU)
		if math.Abs(got-mean) > 5*deviation+0.001 {
			t.Errorf("of %d parts with %d left %f are to be used; in %d games %f were, ±%f",
				c.parts, c.left, got, games, mean, deviation)
		}
	}
}

// Never more is used than there is, and a resource of which there is enough
// for all makes no difference. That more of it is never worse is not so: pods
// that need much of it may take it from those that would fill more devices.
func TestRoomsStayWithinWhatThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var takes, free []take
		for range rapid.IntRange(1, 6).Draw(t, "takes") {
			x := take{
				weight: rapid.Int64Range(1, 4*mostWeight).Draw(t, "weight"),
				parts:  rapid.Int64Range(1, 8*partsPerGPU).Draw(t, "parts"),
				need:   rapid.Int64Range(0, 2).Draw(t, "need"),
			}
			takes = append(takes, x)
			x.need = 0
			free = append(free, x)
		}
		r, without := roomsFor(takes...), roomsFor(free...)
		parts := rapid.Int64Range(0, 8*partsPerGPU).Draw(t, "free")
		for _, left := range []int64{0, 1, rapid.Int64Range(2, mostUnits).Draw(t, "left")} {
			if used := r.look(parts, left); used < 0 || used > parts*GPU {
				t.Fatalf("of %d parts %d millionths are used", parts, used)
			}
		}
		if got, want := r.look(parts, mostUnits), without.look(parts, 0); got != want {
			t.Fatalf("with enough for all %d are used; where nobody needs it %d", got, want)
		}
	})
}

func TestMoreMayBeUsedWorse(t *testing.T) {
	r := roomsFor(take{weight: 1, parts: 60, need: 1}, take{weight: 1, parts: 1, need: 10})
	little, more := r.look(120, 9), r.look(120, 10)
	if little != 120*GPU || more >= little {
		t.Errorf("with 9 left %d are used, with 10 left %d", little, more)
	}
}
