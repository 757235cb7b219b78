package scenario

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// line is one statement of a file, cut into words.
type line struct {
	file  string
	n     int
	text  string
	words []string
}

// tale is a story as written: its title and its lines.
type tale struct {
	title string
	lines []line
}

// errorf returns an error that names the place.
func (l line) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w (in %q)", l.file, l.n, fmt.Errorf(format, args...), l.text)
}

// parse cuts a file into stories.
func parse(file string, r io.Reader) ([]tale, error) {
	var tales []tale
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		l := line{file: file, n: n, text: strings.TrimSpace(in.Text())}
		words, err := split(l.text)
		switch {
		case err != nil:
			return nil, l.errorf("%w", err)
		case len(words) == 0:
			continue
		case words[0] == "story":
			title := strings.TrimSpace(strings.TrimPrefix(l.text, "story"))
			if title == "" {
				return nil, l.errorf("a story needs a title: story what it shows")
			}
			tales = append(tales, tale{title: title})
		case len(tales) == 0:
			return nil, l.errorf("a file begins with a story: story what it shows")
		default:
			l.words = words
			last := &tales[len(tales)-1]
			last.lines = append(last.lines, l)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return tales, nil
}

// split cuts text into words at spaces, keeps quoted text whole, and drops
// comments.
func split(text string) ([]string, error) {
	var words []string
	for {
		text = strings.TrimSpace(text)
		switch {
		case text == "" || text[0] == '#':
			return words, nil
		case text[0] == '"':
			quoted, rest, ok := strings.Cut(text[1:], `"`)
			if !ok {
				return nil, errors.New(`a quote is not closed: add "`)
			}
			words, text = append(words, quoted), rest
		default:
			end := strings.IndexAny(text, " \t")
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, text[:end]), text[end:]
		}
	}
}
