package test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/shim/build"
)

// TestTheShadowIsFound finds the driver in all ways in which programs do.
func TestTheShadowIsFound(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		for _, way := range []string{"linked", "dlopen", "deepbind", "dlmopen", "static", "fork", "clone", "vfork", "exec",
			"execheld", "busyfork"} {
			t.Run(way, func(t *testing.T) {
				if check != build.Plain && (way == "dlmopen" || way == "deepbind" || way == "clone") {
					t.Skip("the compiler's checks are not to be loaded twice, nor bound to in another order, nor cloned")
				}
				if check == build.Thread && way == "busyfork" {
					t.Skip("the compiler's checks of threads forbid a child of many threads to do anything")
				}
				w := newWorld(t, check)
				w.agent(one(limit))
				if way == "static" {
					w.run("one", "static_test", strconv.Itoa(limit))
					return
				}
				w.run("one", "loading_test", way, strconv.Itoa(limit))
			})
		}
	})
}

// TestWithoutAnAgent has a program that nobody holds, and ones that are refused.
func TestWithoutAnAgent(t *testing.T) {
	w := newWorld(t, build.Plain)
	if out := w.run("nobody", "loading_test", "linked", strconv.Itoa(80<<30)); out != "" {
		t.Errorf("a program that nobody holds was told %q", out)
	}
	w.agent(one(0)) // the agent of these tests refuses those who may have nothing
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := w.start(ctx, "one", "loading_test", "linked", "0")
	if err := p.cmd.Wait(); err == nil {
		t.Error("a program that was refused ran")
	}
	if out := p.out.String(); strings.Count(out, "weir: refused: ") != 1 || !strings.Contains(out, "800") {
		t.Errorf("a program that was refused says %q", out)
	}
}
