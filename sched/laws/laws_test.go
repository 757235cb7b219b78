package laws_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// A normal test run plays these many histories, of one seed: the laws do not hold
// on all yet (ARCHITECTURE.md, "Known defects"), and nobody's change is to fail by
// chance. -anew (make laws) plays others, and says their seed; -rapid.seed=N plays
// those of a seed, -rapid.checks=N more or fewer.
const (
	howMany   = 10_400
	usualSeed = 1
)

var (
	anew = flag.Bool("anew", false, "play histories of a seed that was not played before")
	only = flag.String("only", "", "check only the laws whose name matches this regular expression")
)

func TestMain(m *testing.M) {
	flag.Parse()
	wanted := regexp.MustCompile(*only)
	laws.Laws = slices.DeleteFunc(laws.Laws, func(l laws.Law) bool { return !wanted.MatchString(l.Name) })
	unless("rapid.checks", fmt.Sprint(howMany))
	seed := int64(usualSeed)
	if *anew {
		seed = time.Now().UnixNano() % 1e9
	}
	unless("rapid.seed", fmt.Sprint(seed))
	unless("rapid.nofailfile", "true")
	if testing.Short() {
		unless("rapid.checks", "200")
	}
	// Generators name themselves when first asked, and not safely where tests in
	// parallel share them.
	for _, g := range []fmt.Stringer{histories, contests, crowds, steps, contenders, comers, nodes, bounds, asks, surplusRuntimes} {
		_ = g.String()
	}
	fmt.Printf("histories of -rapid.seed=%s\n", flag.Lookup("rapid.seed").Value)
	os.Exit(m.Run())
}

// unless sets a flag that was not given.
func unless(name, value string) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if !given || testing.Short() && name == "rapid.checks" {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

func engine(int) laws.Engine { return sched.New(sched.Config{Fitness: onlyOn{}, Levels: laws.Levels}) }

// TestLaws plays random histories; every law is asked after every decision.
func TestLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := histories.Draw(t, "history")
		w := laws.NewWorld(onlyOn{}, engine)
		defer mustReturn(w)()
		if b := w.Play(h); b != nil {
			t.Fatalf("%v\n\nwhat happened:\n%s", b, strings.Join(w.Log, "\n"))
		}
	})
}

// mustReturn ends the test run, telling what happened, when an engine does not
// answer. Call what it returns when it did.
func mustReturn(w *laws.World) (returned func()) {
	timer := time.AfterFunc(time.Minute, func() {
		panic("the engine does not return; what happened:\n" + strings.Join(w.Log, "\n"))
	})
	return func() { timer.Stop() }
}

// TestLawsAreNamed keeps names unique, so that a breach tells which law it is.
func TestLawsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, law := range laws.Laws {
		if law.Name == "" || seen[law.Name] {
			t.Errorf("law %q has no name of its own", law.Name)
		}
		seen[law.Name] = true
		if (law.Round == nil) == (law.Rest == nil) {
			t.Errorf("law %q needs exactly one check", law.Name)
		}
	}
}
