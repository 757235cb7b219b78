package replay

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// post creates an object of a kind that schedules are made of.
func post(ctx context.Context, kube kubernetes.Interface, obj Object) error {
	var err error
	switch o := obj.(type) {
	case *corev1.Pod:
		_, err = kube.CoreV1().Pods(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
	case *batchv1.Job:
		_, err = kube.BatchV1().Jobs(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
	default:
		err = fmt.Errorf("a schedule of %T cannot be replayed: use Pods and Jobs", obj)
	}
	return err
}
