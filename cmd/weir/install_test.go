package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/watch"
)

// place is a cluster into which Weir is installed as into any other, with an
// audit log of every request.
type place struct {
	t     *testing.T
	c     *cluster.Cluster
	kube  kubernetes.Interface
	audit string
}

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

func newPlace(t *testing.T) *place {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	policy, audit := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(t.Context(), cluster.Options{
		Dir: filepath.Join(dir, "cluster"), UnsafeNoFsync: true,
		APIServerFlags: map[string]string{"audit-policy-file": policy, "audit-log-path": audit},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	return &place{t: t, c: c, kube: kube, audit: audit}
}

// nodes are a node of each kind: with a device plugin, and with exact devices.
func (p *place) nodes() {
	p.t.Helper()
	counted, err := simnode.Shape(1, 4, "A100")
	if err != nil {
		p.t.Fatal(err)
	}
	counted[0].Name, counted[0].Counted = "counted", true
	exact, err := simnode.Shape(1, 4, "A100")
	if err != nil {
		p.t.Fatal(err)
	}
	exact[0].Name = "exact"
	fleet, err := simnode.New(simnode.Options{
		Config: p.c.Config(), Nodes: append(counted, exact...), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = fleet.Run(ctx)
	}()
	p.t.Cleanup(func() { stop(); <-ended })
	<-fleet.Ready()
}

// as returns a kubeconfig of a service account, with a token of its own.
func (p *place) as(namespace, account string) string {
	p.t.Helper()
	token, err := p.kube.CoreV1().ServiceAccounts(namespace).CreateToken(p.t.Context(), account,
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(p.c.KubeconfigPath)
	if err != nil {
		p.t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	path := filepath.Join(p.t.TempDir(), account)
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// reach lets the API server reach a replica, which no Service of this cluster
// can. The name by which it calls, and whom it trusts, stay as they are.
func (p *place) reach(r *replica) {
	p.t.Helper()
	ctx := p.t.Context()
	_, err := p.kube.CoreV1().Services(install.Namespace).Patch(ctx, install.Name, types.MergePatchType,
		[]byte(`{"spec": {"type": "ExternalName", "externalName": "localhost", "clusterIP": null, "clusterIPs": null}}`),
		metav1.PatchOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	_, port, _ := strings.Cut(r.webhook, ":")
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "the API server finds the webhook", func() error {
		mutating := p.kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
		m, err := mutating.Get(ctx, install.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for i := range m.Webhooks {
			m.Webhooks[i].ClientConfig.Service.Port = new(int32(n))
		}
		if _, err := mutating.Update(ctx, m, metav1.UpdateOptions{}); err != nil {
			return err
		}
		validating := p.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
		v, err := validating.Get(ctx, install.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for i := range v.Webhooks {
			v.Webhooks[i].ClientConfig.Service.Port = new(int32(n))
		}
		_, err = validating.Update(ctx, v, metav1.UpdateOptions{})
		return err
	})
}

// user makes an account that has the roles that are meant for people, and the
// right to change what is in its own namespace. It returns its kubeconfig.
func (p *place) user(namespace, name string, roles ...string) string {
	p.t.Helper()
	ctx := p.t.Context()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := p.kube.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}}
	role := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	for _, r := range roles {
		_, err := p.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-" + r}, Subjects: subjects, RoleRef: role(r),
		}, metav1.CreateOptions{})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	_, err := p.kube.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subjects, RoleRef: role("edit"),
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.as(namespace, name)
}

// apply installs, and returns what was done to each object.
func (p *place) apply() string {
	return must(p.t, "install --image registry.example.com/weir:1 --apply --kubeconfig "+p.c.KubeconfigPath)
}

// args are those that the Deployment gives to weir.
func (p *place) args() []string {
	d, err := p.kube.AppsV1().Deployments(install.Namespace).Get(p.t.Context(), install.Name, metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0].Args
}

// Weir is installed into a cluster, does its work with no more rights than it
// was given, is upgraded, loses a replica and is removed.
func TestInstalled(t *testing.T) {
	p := newPlace(t)
	created := p.apply()
	if strings.Contains(created, "configured") || strings.Contains(created, "unchanged") {
		t.Errorf("the first time all is created, but:\n%s", created)
	}
	p.nodes()
	until(t, "the cluster takes Weir's own pods as they are", func() error {
		pods, err := p.kube.CoreV1().Pods(install.Namespace).List(t.Context(), metav1.ListOptions{})
		if err == nil && len(pods.Items) != 2 {
			err = fmt.Errorf("there are %d", len(pods.Items))
		}
		return err
	})

	weirs := p.as(install.Namespace, install.Name)
	a := startReplica(t, "a", weirs, p.args())
	until(t, "the first replica decides", func() error { return a.is("/leaderz") })
	until(t, "and is ready", func() error { return a.is("/readyz") })
	b := startReplica(t, "b", weirs, p.args())
	until(t, "the second is ready", func() error { return b.is("/readyz") })
	if err := b.is("/leaderz"); err == nil || !strings.Contains(err.Error(), "standing by: a decides") {
		t.Errorf("both decide: %v", err)
	}
	p.reach(a)
	p.work()

	if again := p.apply(); strings.Contains(again, "created") ||
		strings.Contains(again, "secret/weir-webhook configured") {
		t.Errorf("an upgrade to the same:\n%s", again)
	}
	p.reach(a) // which the upgrade set back, and so what Weir adds: it comes again
	p.refusals()
	p.asksAboutCrews()

	a.stop() // and gives the lead back
	until(t, "the other replica decides", func() error { return b.is("/leaderz") })
	p.reach(b)
	p.refusals()
	must(t, "submit train later --project vision -n ml --gpu 1 --image any --kubeconfig "+p.c.KubeconfigPath)
	eventually(t, "list -n ml --kubeconfig "+p.c.KubeconfigPath, "later")
	b.stop()
	p.judgeRights()

	removed := must(t, "uninstall --kubeconfig "+p.c.KubeconfigPath)
	if !strings.HasPrefix(removed, "validatingwebhookconfiguration/weir deleted\n") ||
		strings.Contains(removed, "customres") {
		t.Errorf("weir uninstall:\n%s", removed)
	}
	_, _, stderr := weir(t, "uninstall --kubeconfig "+p.c.KubeconfigPath)
	if !strings.Contains(stderr, "1 department, 2 projects, 1 nodepool, 1 workloadrule; weir uninstall --all") {
		t.Errorf("weir uninstall says %q of what stays", stderr)
	}
	if all := must(t, "uninstall --all --kubeconfig "+p.c.KubeconfigPath); strings.Count(all, "customres") != 4 {
		t.Errorf("weir uninstall --all:\n%s", all)
	}
}

// work gives Weir one of everything to do.
func (p *place) work() {
	t, kubeconfig := p.t, " --kubeconfig "+p.c.KubeconfigPath
	p.refusals()
	p.teach()
	boss := " --kubeconfig " + p.user("default", "boss", "weir-user", "weir-admin")
	must(t, "department create research --gpu 8"+boss)
	until(t, "the webhook sees the department", func() error {
		code, _, stderr := weir(t, "project create vision --department research --gpu 5 --namespaces ml"+boss)
		if code != 0 {
			return fmt.Errorf("exit %d: %s", code, stderr)
		}
		return nil
	})
	must(t, "project set vision --gpu 6"+boss)
	must(t, "project create speech --department research --gpu 0"+boss)
	must(t, "pool create spare --selector spare=yes"+boss)
	must(t, "pool create old --selector old=yes"+boss)
	must(t, "pool delete old"+boss)
	alice := " -n ml --kubeconfig " + p.user("ml", "alice", "weir-user")

	// The second borrows all of both nodes, and gives it back.
	must(t, "submit train borrower --project speech --pods 8 --min-pods 1 --gpu 1 --image any"+kubeconfig)
	eventually(t, "list -n speech"+kubeconfig, "8/8")
	must(t, "submit train whole --pods 2 --gpu 2 --image any"+alice)
	must(t, "submit build part --gpu 0.5 --image any"+alice)
	eventually(t, "list --status running"+alice, "whole")
	eventually(t, "list --status running"+alice, "part")
	p.crew()
	eventually(t, "list"+alice, "crew")
	p.ruleSays(`"workloads":1`)
	must(t, "submit train huge --pods 2 --gpu 4 --image any"+alice)
	eventually(t, "list --status waiting"+alice, "huge")
	for _, line := range []string{
		"explain huge", "describe whole", "top --once", "node list", "node get exact", "pool list", "project list",
		"project get vision", "department list", "list -A", "suspend huge", "delete huge",
	} {
		must(t, line+alice)
	}
	time.Sleep(3 * time.Second) // for what is told late: conditions, statuses
}

// refusals are what only the webhook can refuse: it is reached, and trusted.
func (p *place) refusals() {
	p.t.Helper()
	client, err := watch.WeirClient(p.c.Config())
	if err != nil {
		p.t.Fatal(err)
	}
	lost := &v1alpha1.Project{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Project"},
		ObjectMeta: metav1.ObjectMeta{Name: "lost"}, Spec: v1alpha1.ProjectSpec{Department: "none"},
	}
	until(p.t, "the API server asks the webhook", func() error {
		err := client.Post().Resource("projects").Body(lost).Do(p.t.Context()).Error()
		if err != nil && strings.Contains(err.Error(), `admission webhook "objects.weir.dev" denied the request`) {
			return nil
		}
		return fmt.Errorf("a project of a department that does not exist: %v", err)
	})
}
