package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// childDir, when set, turns the test binary into a process that runs the
// cluster of that directory until it is killed.
const childDir = "WEIR_TEST_CLUSTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		c, err := Start(context.Background(), Options{Dir: dir})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("ready:", c.KubeconfigPath)
		<-c.Done()
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func start(t *testing.T, opts Options) (*Cluster, kubernetes.Interface) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	c, err := Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	client, err := kubernetes.NewForConfig(protobuf(c.Config()))
	if err != nil {
		t.Fatal(err)
	}
	return c, client
}

// A cluster makes pods of jobs, and has them still after a restart, at the
// same address; --fresh forgets them.
func TestStopAndRestart(t *testing.T) {
	dir := t.TempDir()
	c, client := start(t, Options{Dir: dir})

	version, err := client.Discovery().ServerVersion()
	if err != nil || version.GitVersion != Release() || !strings.HasPrefix(version.GitVersion, "v1.") {
		t.Fatalf("version is %v (%v), want %s", version, err, Release())
	}
	createNamespace(t, client, "ml")
	createPod(t, client, "ml", "first") // no waiting for a service account
	createJob(t, client, "ml", "train", 3)
	eventually(t, "three pods of the job", func() error {
		pods, err := client.CoreV1().Pods("ml").List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=train"})
		if err == nil && len(pods.Items) != 3 {
			err = fmt.Errorf("there are %d", len(pods.Items))
		}
		return err
	})
	address := c.Address
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}

	again, client := start(t, Options{Dir: dir})
	if again.Address != address {
		t.Errorf("address is %s, want %s as before", again.Address, address)
	}
	if _, err := client.CoreV1().Pods("ml").Get(t.Context(), "first", metav1.GetOptions{}); err != nil {
		t.Errorf("the pod did not survive: %v", err)
	}
	createJob(t, client, "ml", "after", 1)
	eventually(t, "a pod of the second job", func() error {
		pods, err := client.CoreV1().Pods("ml").List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=after"})
		if err == nil && len(pods.Items) != 1 {
			err = fmt.Errorf("there are %d", len(pods.Items))
		}
		return err
	})
	if err := again.Stop(); err != nil {
		t.Fatal(err)
	}

	_, client = start(t, Options{Dir: dir, Fresh: true})
	_, err = client.CoreV1().Pods("ml").Get(t.Context(), "first", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a fresh cluster still has the pod (%v)", err)
	}
}

// While one process runs a cluster, a second is told who does. A killed
// process leaves no lock behind, and nothing that was acknowledged is lost.
func TestSecondInstanceAndKill(t *testing.T) {
	dir := t.TempDir()
	child, client := startChild(t, dir)

	_, err := Start(t.Context(), Options{Dir: dir})
	var busy *BusyError
	if !errors.As(err, &busy) {
		t.Fatalf("a second instance: %v, want a BusyError", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("kill %d", child.Process.Pid), "--name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}

	for round := range 2 {
		written := writeUntilKilled(t, child, client)
		child, client = startChild(t, dir)
		for _, name := range written {
			if _, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{}); err != nil {
				t.Fatalf("round %d: %s of %d was acknowledged and is lost: %v", round, name, len(written), err)
			}
		}
		t.Logf("round %d: %d writes survived SIGKILL", round, len(written))
	}
	kill(t, child)

	c, _ := start(t, Options{Dir: dir})
	if !filepath.IsAbs(c.KubeconfigPath) {
		t.Errorf("kubeconfig path %q is not absolute", c.KubeconfigPath)
	}
}

// writeUntilKilled writes, kills the child in the middle, and returns the
// names of what was acknowledged.
func writeUntilKilled(t *testing.T, child *exec.Cmd, client kubernetes.Interface) []string {
	t.Helper()
	time.AfterFunc(700*time.Millisecond, func() { child.Process.Kill() })
	var names []string
	for {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "write-"}}
		made, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), cm, metav1.CreateOptions{})
		if err != nil {
			break
		}
		names = append(names, made.Name)
	}
	child.Wait()
	if len(names) == 0 {
		t.Fatal("nothing was written before the kill")
	}
	return names
}

func startChild(t *testing.T, dir string) (*exec.Cmd, kubernetes.Interface) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	path, ok := strings.CutPrefix(strings.TrimSpace(line), "ready: ")
	if !ok {
		t.Fatalf("the child says %q (%v)", line, err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, client
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
}

func TestBadOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		opts Options
		want string
	}{
		"no directory":   {Options{}, "Options.Dir is empty"},
		"a file":         {Options{Dir: file}, "no place for the cluster's data"},
		"unknown flag":   {Options{Dir: t.TempDir(), APIServerFlags: map[string]string{"nonsense": "1"}}, "--nonsense=1"},
		"port of others": {Options{Dir: t.TempDir(), Port: 1<<16 + 1}, "port 65537 is not free"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Start(t.Context(), test.opts)
			if err == nil {
				c.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestStateDir(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	for _, test := range []struct{ state, name, want string }{
		{"", DefaultName, "/home/ada/.local/state/weir/default"},
		{"/data/state", "demo", "/data/state/weir/demo"},
		{"relative", "demo", "/home/ada/.local/state/weir/demo"},
		{"", "../x", ""},
		{"", "", ""},
		{"", "..", ""},
	} {
		t.Setenv("XDG_STATE_HOME", test.state)
		got, err := StateDir(test.name)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("StateDir(%q) with XDG_STATE_HOME=%q is %q, %v; want %q", test.name, test.state, got, err, test.want)
		}
	}
}

func createNamespace(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func createPod(t *testing.T, client kubernetes.Interface, namespace, name string) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: podSpec()}
	if _, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func createJob(t *testing.T, client kubernetes.Interface, namespace, name string, pods int32) {
	t.Helper()
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{
			Parallelism: &pods, Completions: &pods,
			Template: corev1.PodTemplateSpec{Spec: podSpec()},
		},
	}
	if _, err := client.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: "busybox"}},
	}
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for range 400 {
		if err = check(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s: %v", what, err)
}
