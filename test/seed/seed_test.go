package seed_test

import (
	"flag"
	"os"
	"testing"

	"pgregory.net/rapid"

	_ "github.com/weir-gpu/weir/test/seed"
)

// TestTheSameValues draws the same values from two checks, unless told
// otherwise.
func TestTheSameValues(t *testing.T) {
	if os.Getenv("WEIR_SEED") == "new" || flag.Lookup("rapid.seed").Value.String() != "1" {
		t.Skip("another seed was asked for")
	}
	play := func() (drawn []uint64) {
		rapid.Check(t, func(t *rapid.T) { drawn = append(drawn, rapid.Uint64().Draw(t, "n")) })
		return drawn
	}
	first, again := play(), play()
	if len(first) == 0 || len(first) != len(again) {
		t.Fatalf("%d values, then %d", len(first), len(again))
	}
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("value %d was %d, then %d", i, first[i], again[i])
		}
	}
}
