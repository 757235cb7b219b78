package scenario

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { Run(t, file) })
	}
}

// TestMistakes checks that a mistake in a story is told with its place and
// with what would be right.
func TestMistakes(t *testing.T) {
	tests := map[string]struct{ story, want string }{
		"no story":        {"cluster 1 nodes", `f.txt:1: a file begins with a story`},
		"no title":        {"story", `f.txt:1: a story needs a title`},
		"open quote":      {"story x\nexpect \"a", `f.txt:2: a quote is not closed`},
		"unknown verb":    {"story x\nsubmitt train a", `f.txt:2: "submitt" is not a statement; statements are began, budget,`},
		"unknown option":  {"story x\ncluster 1 nodes gpu 3", `"gpu" is not known here; known are class,`},
		"bad number":      {"story x\ncluster one nodes", `the number of nodes "one" should be a whole number`},
		"bad memory":      {"story x\ncluster 1 nodes x 8 H100 80", `"80" should be a size such as 80GiB`},
		"bad fraction":    {"story x\nsubmit train a project p fraction half", `fraction: "half" should be a number such as 2 or 0.5`},
		"fine fraction":   {"story x\nsubmit train a project p fraction 0.1234567", `more than 6 digits`},
		"both":            {"story x\nsubmit train a project p gpus 1 fraction 0.5", `gpus 1 are whole devices`},
		"missing value":   {"story x\nsubmit train a project", `the value of project is missing at the end`},
		"unknown kind":    {"story x\nsubmit play a", `kind "play" should be build, train or infer`},
		"unknown work":    {"story x\nend a", `there is no workload "a"`},
		"unknown node":    {"story x\ncluster 1 nodes\nkill node n7", `f.txt:3: there is no node "n7"; there are n1`},
		"unknown device":  {"story x\ncluster 1 nodes\ndevice n1/gpu-0 unhealthy", `there is no device "n1/gpu-0"`},
		"bad duration":    {"story x\nwait long", `"long" should be a time such as 90s or 10m`},
		"too many words":  {"story x\nsettle now", `"[now]" is too much at the end`},
		"unknown expects": {"story x\nexpect a running", `"a" is neither a workload nor one of apart,`},
		"wrong": {
			"story x\nproject p\nsubmit train a project p gpus 1\nexpect a running",
			`f.txt:4: 0 pods run, 1 are expected (in "expect a running")`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := playText(test.story)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func playText(text string) error {
	tales, err := parse("f.txt", strings.NewReader(text))
	if err != nil {
		return err
	}
	for _, tale := range tales {
		if _, err := play(tale); err != nil {
			return err
		}
	}
	return nil
}

// FuzzParse checks that no text makes the parser panic, and that what it
// accepts has words in every line.
func FuzzParse(f *testing.F) {
	f.Add("story a\ncluster 1 nodes x 8 H100 80GiB # eight\nexpect offer a saying \"x y\"")
	f.Add("story\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		tales, err := parse("f.txt", strings.NewReader(text))
		if err != nil {
			return
		}
		for _, tale := range tales {
			for _, l := range tale.lines {
				if tale.title == "" || len(l.words) == 0 {
					t.Errorf("an empty title or line in %q", text)
				}
			}
		}
	})
}
