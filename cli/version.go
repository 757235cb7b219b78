package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Version is set when a release is built; otherwise the module's own is used.
var Version string

// versionInfo is what `weir version -o json` prints.
type versionInfo struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Modified   bool   `json:"modified,omitempty"` // built from a changed tree
	Kubernetes string `json:"kubernetes,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
}

func (s *session) version() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of weir, and of the Kubernetes it is built on",
		Args:  nothing,
		RunE: func(*cobra.Command, []string) error {
			v := builtVersion(debug.ReadBuildInfo())
			if out.data() {
				return s.print(out, v)
			}
			_, err := fmt.Fprintln(s.out, v)
			return err
		},
	}
	out.addTo(c, "json", "yaml")
	return c
}

func builtVersion(info *debug.BuildInfo, ok bool) versionInfo {
	v := versionInfo{Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		return v
	}
	if v.Version == "" {
		v.Version = strings.Trim(info.Main.Version, "()")
	}
	for _, d := range info.Deps {
		if d.Path == "k8s.io/client-go" {
			v.Kubernetes = "v1" + strings.TrimPrefix(replaced(d).Version, "v0")
		}
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Commit = setting.Value[:min(len(setting.Value), 12)]
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

func replaced(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// String is the version in one line.
func (v versionInfo) String() string {
	s := "weir " + v.Version
	if v.Commit != "" {
		s += " (" + v.Commit + ")"
	}
	if v.Kubernetes != "" {
		s += ", for Kubernetes " + v.Kubernetes
	}
	return s + ", " + v.Go + ", " + v.Platform
}
