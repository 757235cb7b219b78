package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// output is the flag -o of one command.
type output struct {
	format string
	valid  []string
}

// addTo adds the flag with the formats that the command has beside its text.
func (o *output) addTo(cmd *cobra.Command, valid ...string) {
	o.valid = valid
	cmd.Flags().VarP(o, "output", "o", "output: "+strings.Join(valid, ", ")+" (default: text)")
	// The flag was added in the line above: this cannot fail.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(valid, cobra.ShellCompDirectiveNoFileComp))
}

func (o *output) String() string { return o.format }
func (o *output) Type() string   { return "format" }

// Set is called with what people write.
func (o *output) Set(s string) error {
	if !slices.Contains(o.valid, s) {
		return fmt.Errorf("write one of %s", strings.Join(o.valid, ", "))
	}
	o.format = s
	return nil
}

func (o *output) wide() bool { return o.format == "wide" }

// data reports whether the output is for programs.
func (o *output) data() bool { return o.format == "json" || o.format == "yaml" }

// items is how a list is wrapped for programs.
type items[T any] struct {
	Items []T `json:"items"`
}

// itemsOf wraps a list; it is never null.
func itemsOf[T any](list []T) items[T] {
	if list == nil {
		list = []T{}
	}
	return items[T]{list}
}

// print writes v as JSON or YAML.
func (s *session) print(o output, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if o.format == "yaml" {
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return err
		}
		_, err = s.out.Write(raw)
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\n", raw)
	return err
}
