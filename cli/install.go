package cli

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/api/crds"
	"github.com/weir-gpu/weir/cli/submit"
	"github.com/weir-gpu/weir/cluster/install"
)

// fieldManager is who owns, for the API server, what weir install sets.
const fieldManager = "weir-install"

func (s *session) install() *cobra.Command {
	o := install.Options{}
	var out output
	var apply bool
	c := &cobra.Command{
		Use:   "install --image IMAGE",
		Short: "Print or apply what a cluster needs to run Weir",
		Long: `Print everything that a cluster needs to run Weir: its kinds, rights, scheduler and
admission webhook; or with --apply bring a cluster up to date with it. Both can be
repeated: what people and Weir itself have set since stays.`,
		Example: "weir install --image registry.example.com/weir:dev | kubectl apply -f -\n" +
			"weir install --image registry.example.com/weir:dev --apply",
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkInstall(o, apply, out); err != nil {
				return err
			}
			manifest, err := manifestOf(o)
			if err != nil {
				return err
			}
			if apply {
				return s.apply(cmd.Context(), manifest)
			}
			return s.printManifest(out, manifest)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.Image, "image", "", "image with the weir binary; required, as none is published yet")
	f.StringVar(&o.AgentImage, "agent-image", "", "image with the node agent and the shim, for nodes labelled "+
		install.AgentLabel+"=true; none unless said")
	f.Int32Var(&o.Replicas, "replicas", 2, "how many run: one decides, all answer the webhook")
	f.BoolVar(&apply, "apply", false, "apply to the cluster instead of printing")
	out.addTo(c, "yaml", "json")
	return c
}

func checkInstall(o install.Options, apply bool, out output) error {
	switch {
	case o.Image == "":
		return refused("--image is missing: name an image with the weir binary; make image builds one")
	case strings.ContainsAny(o.Image, " \t\n"):
		return refused("--image %q is no image: write REGISTRY/NAME:TAG", o.Image)
	case strings.ContainsAny(o.AgentImage, " \t\n"):
		return refused("--agent-image %q is no image: write REGISTRY/NAME:TAG", o.AgentImage)
	case o.Replicas < 1 || o.Replicas > 9:
		return refused("--replicas %d is not a number of replicas: write 1 to 9", o.Replicas)
	case apply && out.data():
		return refused("-o is for printing: leave out --apply or -o")
	}
	return nil
}

// document is one object of the installation, as it is written.
type document struct {
	yaml []byte
	*unstructured.Unstructured
}

// manifestOf is the whole installation, in the order in which it can be made.
func manifestOf(o install.Options) ([]document, error) {
	var all []document
	add := func(text []byte) error {
		d := document{bytes.TrimPrefix(text, []byte("---\n")), &unstructured.Unstructured{}}
		all = append(all, d)
		return yaml.Unmarshal(text, &d.Object)
	}
	names, err := fs.Glob(crds.Files(), "*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(crds.Files(), name)
		if err != nil {
			return nil, err
		}
		if err := add(text); err != nil {
			return nil, err
		}
	}
	for _, obj := range install.Objects(o) {
		text, err := submit.YAML(obj)
		if err != nil {
			return nil, err
		}
		if err := add(text); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *session) printManifest(out output, manifest []document) error {
	if out.format == "json" {
		list := map[string]any{"apiVersion": "v1", "kind": "List"}
		var all []any
		for _, d := range manifest {
			all = append(all, d.Object)
		}
		list["items"] = all
		return s.print(out, list)
	}
	for _, d := range manifest {
		if _, err := fmt.Fprintf(s.out, "---\n%s", d.yaml); err != nil {
			return err
		}
	}
	return nil
}

// apply brings the cluster up to date, object by object.
func (s *session) apply(ctx context.Context, manifest []document) error {
	clients, _, err := s.connect()
	if err != nil {
		return err
	}
	for _, d := range manifest {
		resource, err := placeOf(clients, d)
		if err != nil {
			return err
		}
		before, err := resource.Get(ctx, d.GetName(), metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		made := apierrors.IsNotFound(err)
		after, err := resource.Apply(ctx, d.GetName(), d.Unstructured,
			metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		if err != nil {
			return fmt.Errorf("%s was not applied, and nothing after it: %w", title(d), err)
		}
		what := "configured"
		switch {
		case made:
			what = "created"
		case before.GetResourceVersion() == after.GetResourceVersion():
			what = "unchanged"
		}
		fmt.Fprintf(s.out, "%s %s\n", title(d), what)
	}
	s.note("see how it starts: kubectl -n %s rollout status deployment/%s", install.Namespace, install.Name)
	return nil
}

// placeOf returns where objects like d are kept.
func placeOf(c Clients, d document) (dynamic.ResourceInterface, error) {
	gvk := d.GroupVersionKind()
	mapping, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, fmt.Errorf("the cluster does not know %s, as Kubernetes 1.36 does: %w", gvk.Kind, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.Dynamic.Resource(mapping.Resource), nil
	}
	return c.Dynamic.Resource(mapping.Resource).Namespace(d.GetNamespace()), nil
}

func title(d document) string { return strings.ToLower(d.GetKind()) + "/" + d.GetName() }
