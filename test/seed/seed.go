// Package seed makes property tests play the same values each time: nobody's
// change is to fail by chance, in a place that it did not touch. A test package
// imports it for its effect:
//
//	import _ "github.com/weir-gpu/weir/test/seed"
//
// With WEIR_SEED=new in the environment (make properties) they play values that
// nobody played before; rapid says the seed of a failure. -rapid.seed=N plays
// those of N, as ever.
package seed

import (
	"flag"
	"os"

	_ "pgregory.net/rapid" // registers the flag
)

func init() {
	if os.Getenv("WEIR_SEED") == "new" {
		return
	}
	if err := flag.Set("rapid.seed", "1"); err != nil {
		panic(err)
	}
}
