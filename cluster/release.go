package cluster

import (
	"runtime/debug"
	"strings"

	apiversion "k8s.io/apimachinery/pkg/version"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/version"
)

// release is the effective version of the API server with the version of the
// Kubernetes module in place of the one that Kubernetes' own build stamps
// into its binaries, which is no valid version in any other build and makes
// `kubectl version` fail.
type release struct {
	basecompatibility.MutableEffectiveVersion
}

// Info is what the API server answers at /version.
func (r release) Info() *apiversion.Info {
	info := r.MutableEffectiveVersion.Info()
	info.GitVersion = Release()
	info.GitCommit = ""
	info.BuildDate = ""
	return info
}

// Release returns the Kubernetes release that the cluster runs, like v1.36.3.
func Release() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range build.Deps {
			if dep.Path == "k8s.io/kubernetes" && strings.HasPrefix(dep.Version, "v") {
				return dep.Version
			}
		}
	}
	return "v" + version.DefaultKubeBinaryVersion + ".0"
}
