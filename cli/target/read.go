package target

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func (x *Index) readJobs(ctx context.Context, c kubernetes.Interface) error {
	list, err := c.BatchV1().Jobs(x.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		x.add(batchv1.SchemeGroupVersion.WithKind("Job"), &list.Items[i])
	}
	return nil
}

func (x *Index) readCronJobs(ctx context.Context, c kubernetes.Interface) error {
	list, err := c.BatchV1().CronJobs(x.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		x.add(batchv1.SchemeGroupVersion.WithKind("CronJob"), &list.Items[i])
	}
	return nil
}

func (x *Index) readReplicaSets(ctx context.Context, c kubernetes.Interface) error {
	list, err := c.AppsV1().ReplicaSets(x.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		x.add(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), &list.Items[i])
	}
	return nil
}

func (x *Index) readDeployments(ctx context.Context, c kubernetes.Interface) error {
	list, err := c.AppsV1().Deployments(x.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		x.add(appsv1.SchemeGroupVersion.WithKind("Deployment"), &list.Items[i])
	}
	return nil
}

func (x *Index) readStatefulSets(ctx context.Context, c kubernetes.Interface) error {
	list, err := c.AppsV1().StatefulSets(x.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		x.add(appsv1.SchemeGroupVersion.WithKind("StatefulSet"), &list.Items[i])
	}
	return nil
}
