// Command scoreboard runs what docs/scoreboard.md shows, as far as it is out of
// date, and writes the page. Run it in the root of the module.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/weir-gpu/weir/sim/board"
)

func main() {
	docs := flag.String("docs", "docs", "where scoreboard.md and the folder scoreboard are")
	only := flag.String("only", "", "run scenarios with names that match this regular expression only")
	page := flag.Bool("page", false, "run nothing: write the page from recorded results")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *docs, *only, *page); err != nil {
		fmt.Fprintln(os.Stderr, "scoreboard:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, docs, only string, page bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(docs, "scoreboard"), 0o755); err != nil {
		return err
	}
	file := filepath.Join(docs, "scoreboard", "results.json")
	results, err := board.Load(file)
	if err != nil {
		return err
	}
	if !page {
		all := slices.DeleteFunc(board.Scenarios(), func(s board.Scenario) bool { return !wanted.MatchString(s.Name()) })
		say := func(text string) { fmt.Fprintln(os.Stderr, text) }
		keep := func() error { return results.Save(file) }
		if err := results.Bring(ctx, all, ".", say, keep); err != nil {
			return err
		}
	}
	return board.Page(results, docs)
}
