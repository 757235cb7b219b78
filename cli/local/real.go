package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gpu/weir/cli"
	"github.com/weir-gpu/weir/cluster/pki"
	"github.com/weir-gpu/weir/cluster/realnode"
	"github.com/weir-gpu/weir/kube/claim"
)

// realPatience is how long this machine may take to become a node.
const realPatience = 2 * time.Minute

// realOptions are those of this machine as a node of the cluster of a folder.
// The programs that it runs are beside this one.
func realOptions(o cli.UpOptions, dir string) (realnode.Options, error) {
	self, err := os.Executable()
	beside := filepath.Dir(self)
	return realnode.Options{
		Dir: filepath.Join(dir, "node"), Tools: filepath.Join(beside, "node"), Shim: filepath.Join(beside, "shim"),
		Sim: filepath.Join(beside, "sim"), Simulate: o.RealGPUs, GPUs: gpusOf(o.RealGPUs), Arena: o.RealArena,
		Images: o.Images,
	}, err
}

// gpusOf counts devices such as 2x80GiB,1x40GiB, which were checked before.
func gpusOf(words string) (all int) {
	for word := range strings.SplitSeq(words, ",") {
		count, _, _ := strings.Cut(word, "x")
		n, _ := strconv.Atoi(count)
		all += n
	}
	return all
}

func checkReal(o cli.UpOptions, dir string) error {
	real, err := realOptions(o, dir)
	if err != nil {
		return err
	}
	return real.Check()
}

// startReal makes this machine a node, if that was asked for.
func (r *rooms) startReal(ctx context.Context) error {
	if !r.o.RealNode {
		return nil
	}
	options, err := realOptions(r.o, r.c.Dir)
	if err != nil {
		return err
	}
	files, err := pki.Ensure(filepath.Join(r.c.Dir, "pki"), time.Now())
	if err != nil {
		return err
	}
	options.Address, options.Kubeconfig, options.Authority = r.c.Address, r.c.KubeconfigPath, files.CACert
	client, err := kubernetes.NewForConfig(r.c.Config())
	if err != nil {
		return err
	}
	_, err = client.ResourceV1().DeviceClasses().Create(ctx, claim.Class(), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if r.real, err = realnode.Start(ctx, options); err != nil {
		return fmt.Errorf("making this machine a node: %w", err)
	}
	r.run(ctx, "the real node", func(ctx context.Context) error {
		select {
		case <-r.real.Done():
			return r.real.Failed()
		case <-ctx.Done():
			return nil
		}
	})
	ready, cancel := context.WithTimeoutCause(ctx, realPatience, errors.New("it takes too long"))
	defer cancel()
	return r.real.WaitReady(ready, client)
}

// stopReal ends the node that this machine is, and removes all that it made.
func (r *rooms) stopReal() error {
	if r.real == nil {
		return nil
	}
	return r.real.Stop()
}
