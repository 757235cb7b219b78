package text

import (
	"bytes"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	tb := NewTable("NAME", ">GPUS", "WHY")
	tb.Add("train", "32", "")
	tb.Add("größe", "0.5", "two\nlines")
	var b bytes.Buffer
	if err := tb.Write(&b, Palette{}); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"NAME   GPUS  WHY\n" +
		"train    32  -\n" +
		"größe   0.5  two lines\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestTablePaintsAfterPadding(t *testing.T) {
	tb := NewTable("STATUS", "AGE")
	tb.AddCells(Cell{"Up", Good}, Cell{"1h", Plain})
	var b bytes.Buffer
	if err := tb.Write(&b, Palette{on: true}); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[32mUp\x1b[0m      1h\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got %q, want it to end in %q", b.String(), want)
	}
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	env := func(string) string { return "" }
	if got := Colours(&bytes.Buffer{}, env).Apply(Bad, "x"); got != "x" {
		t.Errorf("a buffer was painted: %q", got)
	}
}

func TestTree(t *testing.T) {
	var b bytes.Buffer
	err := WriteTree(&b, "  ", []Branch{
		{Text: "pool default", Notes: []string{"500 nodes"}, Children: []Branch{{Text: "quota"}, {Text: "limit"}}},
		{Text: "pool old"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "" +
		"  ├─ pool default\n" +
		"  │  500 nodes\n" +
		"  │  ├─ quota\n" +
		"  │  └─ limit\n" +
		"  └─ pool old\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestFieldsSkipEmptyOnes(t *testing.T) {
	f := Fields{Indent: " "}
	f.Add("Name", "a")
	f.Add("Much longer", "")
	f.Add("Nodes", "n1\nn2")
	var b bytes.Buffer
	if err := f.Write(&b, Palette{}); err != nil {
		t.Fatal(err)
	}
	if want := " Name   a\n Nodes  n1\n        n2\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestBar(t *testing.T) {
	for _, tc := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "░░░░"}, {0, 8, "░░░░"}, {4, 8, "██░░"}, {8, 8, "████"}, {9, 8, "████"},
	} {
		if got := Bar(tc.part, tc.whole, 4); got != tc.want {
			t.Errorf("Bar(%d, %d) = %s, want %s", tc.part, tc.whole, got, tc.want)
		}
	}
}
