package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/cluster/install"
)

var crews = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "crews"}

const crewRule = `
apiVersion: weir.dev/v1alpha1
kind: WorkloadRule
metadata: {name: crew}
spec:
  object: {apiVersion: example.com/v1, kind: Crew}
  min: object.spec.size
  pods: [{name: member, count: object.spec.size, template: object.spec.template}]
`

// teach gives the cluster a kind of its own that makes pods, with its rule and
// the right to look at it.
func (p *place) teach() {
	p.t.Helper()
	ctx, config := p.t.Context(), p.c.Config()
	definitions, err := apiextensions.NewForConfig(config)
	if err != nil {
		p.t.Fatal(err)
	}
	keep := true
	_, err = definitions.ApiextensionsV1().CustomResourceDefinitions().Create(ctx,
		&apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: crews.GroupResource().String()},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: crews.Group, Scope: apiextensionsv1.NamespaceScoped,
				Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "crews", Kind: "Crew"},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: crews.Version, Served: true, Storage: true,
					Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
						Type: "object", XPreserveUnknownFields: &keep,
					}},
				}},
			},
		}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		p.t.Fatal(err)
	}
	rule := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(crewRule), &rule.Object); err != nil {
		p.t.Fatal(err)
	}
	rules := client.Resource(schema.GroupVersionResource{Group: "weir.dev", Version: "v1alpha1", Resource: "workloadrules"})
	if _, err := rules.Create(ctx, rule, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	p.ruleSays(`Weir may not list and watch crews.example.com; allow it by a ClusterRole with the label weir.dev/kinds`)
	_, err = p.kube.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "weir-crews", Labels: map[string]string{"weir.dev/kinds": "true"}},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{crews.Group}, Resources: []string{"crews"}, Verbs: []string{"list", "watch"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.ruleSays(`"message":"in force"`)
	p.asksAboutCrews()
}

// asksAboutCrews waits until the API server brings the kind to the webhook.
func (p *place) asksAboutCrews() {
	p.t.Helper()
	until(p.t, "the webhook is asked about the kind", func() error {
		v, err := p.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(p.t.Context(), install.Name,
			metav1.GetOptions{})
		if err == nil && !strings.Contains(v.String(), "crews") {
			err = fmt.Errorf("it is asked about %v", v.Webhooks[1].Rules)
		}
		return err
	})
}

// ruleSays waits until the status of the rule says something.
func (p *place) ruleSays(want string) {
	p.t.Helper()
	until(p.t, "the rule's status", func() error {
		raw, err := p.kube.Discovery().RESTClient().Get().AbsPath("/apis/weir.dev/v1alpha1/workloadrules/crew").
			DoRaw(p.t.Context())
		if err == nil && !strings.Contains(string(raw), want) {
			err = fmt.Errorf("want %s in %s", want, raw)
		}
		return err
	})
}

// crew makes an object of that kind, and as its controller would, its pods.
func (p *place) crew() {
	p.t.Helper()
	ctx := p.t.Context()
	client, err := dynamic.NewForConfig(p.c.Config())
	if err != nil {
		p.t.Fatal(err)
	}
	make := func(name string, size int64) (*unstructured.Unstructured, error) {
		return client.Resource(crews).Namespace("ml").Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Crew", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"size": size, "template": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "main", "image": "any",
					"resources": map[string]any{"limits": map[string]any{"nvidia.com/gpu": int64(1)}}}},
			}}},
		}}, metav1.CreateOptions{})
	}
	if _, err := make("too-large", 100); err == nil || !strings.Contains(err.Error(), "the cluster has 8") {
		p.t.Errorf("a crew larger than the cluster: %v", err)
	}
	owner, err := make("crew", 2)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range 2 {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("crew-%d", i), OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(owner, owner.GroupVersionKind()),
			}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "any"}}},
		}
		if _, err := p.kube.CoreV1().Pods("ml").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// unused are rights that the work of this test does not need, with what does.
var unused = map[string]string{
	"persistentvolumes update":                      "a pod with a volume that waits for its first consumer",
	"persistentvolumeclaims update":                 "a pod with a volume that is provisioned where the pod goes",
	"pods/eviction create":                          "a move that makes room: it goes by disruption budgets",
	"resourceclaims/binding.resource.k8s.io update": "asked about with each update of resourceclaims/status",
	"pods get":                                   "a binding whose answer was lost",
	"resourceclaims.resource.k8s.io get":         "a claim that somebody else wrote in between",
	"resourceclaimtemplates.resource.k8s.io get": "a template that another replica made at the same time",
	"departments.weir.dev get":                   "a department that the webhook's watch has not shown yet",
	"projects.weir.dev get":                      "a project that the webhook's watch has not shown yet",
	"nodepools.weir.dev get":                     "a pool that the webhook's watch has not shown yet",
	"jobsets.jobset.x-k8s.io":                    "a kind that this cluster does not have",
	"leaderworkersets.leaderworkerset.x-k8s.io":  "a kind that this cluster does not have",
	"podgroups.scheduling.k8s.io":                "a kind that this cluster does not have",
	"podgroups.scheduling.x-k8s.io":              "a kind that this cluster does not have",
}

// judgeRights reads in the audit log what was asked for: nothing was refused
// for want of a right, and every right was used.
func (p *place) judgeRights() {
	t := p.t
	weirs, asked := "system:serviceaccount:weir-system:weir", map[string]map[string]bool{}
	f, err := os.Open(p.audit)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		who := e.User.Username
		if e.ObjectRef == nil || who != weirs && !strings.HasSuffix(who, ":alice") && !strings.HasSuffix(who, ":boss") {
			continue
		}
		o := e.ObjectRef
		what := schema.GroupResource{Group: o.APIGroup, Resource: strings.TrimSuffix(o.Resource+"/"+o.Subresource, "/")}
		allowedLater := what == crews.GroupResource() // see teach
		if e.ResponseStatus != nil && e.ResponseStatus.Code == 403 && !allowedLater {
			t.Errorf("%s may not %s %s %s: %s", who, e.Verb, what, o.Name, e.ResponseStatus.Message)
		}
		if asked[who] == nil {
			asked[who] = map[string]bool{}
		}
		asked[who][what.String()+" "+e.Verb] = true
		if e.Verb == "watch" {
			asked[who][what.String()+" list"] = true // a watch begins with one, or falls back to it
		}
	}
	if len(asked) != 3 {
		t.Fatalf("the audit log knows %d of three accounts", len(asked))
	}
	for _, r := range p.rights() {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					what := schema.GroupResource{Group: group, Resource: resource}.String()
					if !asked[weirs][what+" "+verb] && unused[what+" "+verb] == "" && unused[what] == "" {
						t.Errorf("Weir has the right to %s %s and does not need it", verb, what)
					}
				}
			}
		}
	}
}

// rights are those that weir install gives to Weir.
func (p *place) rights() []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, obj := range install.Objects(install.Options{}) {
		switch o := obj.(type) {
		case *rbacv1.ClusterRole:
			if o.Name == "weir" || o.Name == "weir-builtin-kinds" {
				rules = append(rules, o.Rules...)
			}
		case *rbacv1.Role:
			rules = append(rules, o.Rules...)
		}
	}
	return rules
}
