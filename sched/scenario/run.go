package scenario

import (
	"fmt"
	"os"
	"testing"
)

// Run runs every story of a file as a subtest.
func Run(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tales, err := parse(file, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, tale := range tales {
		t.Run(tale.title, func(t *testing.T) {
			if s, err := play(tale); err != nil {
				t.Fatalf("%v\n%s", err, s.state())
			}
		})
	}
}

// play runs one story up to its first wrong line.
func play(t tale) (*story, error) {
	s := newStory()
	for _, l := range t.lines {
		c := &cursor{line: l}
		verb, _ := c.next("a statement")
		do, ok := statements[verb]
		if !ok {
			return s, l.errorf("%q is not a statement; statements are %s", verb, known(statements))
		}
		if err := do(s, c); err != nil {
			return s, l.errorf("%w", err)
		}
		if c.more() {
			return s, l.errorf("%q is too much at the end", fmt.Sprint(c.words[c.at:]))
		}
	}
	return s, nil
}
