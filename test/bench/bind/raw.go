package main

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// workers is how many requests a plain client has under way.
const workers = 100

// plainClient binds the waiting pods one after the other to the nodes, as many
// to each as there are to go round. It decides nothing: no scheduler that
// binds every pod by a call of its own can be faster.
type plainClient struct{}

func (plainClient) Run(ctx context.Context, cfg *rest.Config) error {
	client, err := kubernetes.NewForConfig(protobuf(cfg))
	if err != nil {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		return err
	}
	perNode := (len(pods.Items) + len(nodes.Items) - 1) / len(nodes.Items)
	return parallel(len(pods.Items), func(i int) error {
		pod, node := pods.Items[i], nodes.Items[i/perNode]
		return client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: node.Name},
		}, metav1.CreateOptions{})
	})
}

// parallel calls do for 0 to n-1 by many workers and returns the first error.
func parallel(n int, do func(i int) error) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == n || first != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(workers, n) {
		wg.Go(func() {
			for {
				i, ok := take()
				if !ok {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}
