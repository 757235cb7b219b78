package realnode_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/cluster/realnode"
	"github.com/weir-gpu/weir/kube/ask"
)

// tenantPod is a pod with a tenant in it.
func tenantPod(namespace, name string, words map[string]string, seed int) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: words},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{
				Name: "main", Image: "weir.test/tenant:1", Command: []string{"/bin/tenant", "64", "2000", strconv.Itoa(seed)},
				// The driver's own needs are not charged to anybody.
				Env: []corev1.EnvVar{{Name: "WEIR_SIM_CONTEXT", Value: "0"}},
			}},
		},
	}
}

// pod runs a tenant with a part of the GPU. Its idle memory is kept or lent.
func (w *world) pod(namespace, name, fraction string, seed int, idle ...string) {
	w.Helper()
	pod := tenantPod(namespace, name, map[string]string{ask.GPUFraction: fraction,
		ask.GPUIdleMemory: cmp.Or(append(idle, "keep")...)}, seed)
	if _, err := w.kube.CoreV1().Pods(namespace).Create(w.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) remove(namespace, name string) {
	w.Helper()
	if err := w.kube.CoreV1().Pods(namespace).Delete(w.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
}

// word is what a tenant says each second.
type word struct {
	Had, Total int
	Share      float64
	Intact     bool
}

// words are the last ones that a tenant has said.
func (w *world) words(namespace, name string, count int64) (list []word, err error) {
	text, err := w.kube.CoreV1().Pods(namespace).GetLogs(name, &corev1.PodLogOptions{TailLines: &count}).DoRaw(w.Context())
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var said word
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			return nil, fmt.Errorf("%s/%s says %q", namespace, name, line)
		}
		list = append(list, said)
	}
	if len(list) == 0 {
		return nil, errors.New("it has said nothing yet")
	}
	return list, nil
}

// agree compares what so many claims hold, what the agent has promised and what
// the driver has given.
func (w *world) agree(count int) {
	w.Helper()
	w.eventually("claims, ledger and device agree", func() error {
		claims, err := w.claims()
		if err != nil {
			return err
		}
		if len(claims) != count {
			return fmt.Errorf("%d claims hold something, and %d should", len(claims), count)
		}
		n, err := w.agent()
		if err != nil {
			return err
		}
		used, free, names := uint64(0), n.Devices[0].Memory, []string{}
		for _, j := range n.Jobs {
			part := j.Parts[0]
			used, free = used+part.Used, free-part.Memory
			names = append(names, fmt.Sprintf("%s %d %d", j.Name, part.Memory, part.Compute))
		}
		slices.Sort(names)
		if !slices.Equal(names, claims) {
			return fmt.Errorf("the agent has %q and claims %q", names, claims)
		}
		if free != n.Devices[0].FreeMemory {
			return fmt.Errorf("%d bytes are free, and the agent says %d", free, n.Devices[0].FreeMemory)
		}
		if taken, err := w.used(); err != nil || taken != used {
			return fmt.Errorf("%d bytes of the device are taken (%v), and its jobs have %d", taken, err, used)
		}
		return nil
	})
}

// claims are what all claims hold, each by the container that has it.
func (w *world) claims() (list []string, err error) {
	claims, err := w.kube.ResourceV1().ResourceClaims("").List(w.Context(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	list = []string{}
	for _, c := range claims.Items {
		if c.Status.Allocation == nil {
			continue
		}
		for i, r := range c.Status.Allocation.Devices.Results {
			memory, compute := r.ConsumedCapacity["memory"], r.ConsumedCapacity["compute"]
			if i > 0 || r.Pool != realnode.Name || len(c.Status.ReservedFor) != 1 {
				return nil, fmt.Errorf("claim %s is allocated oddly: %+v", c.Name, c.Status)
			}
			list = append(list, fmt.Sprintf("%s/%s/main %d %d", c.Namespace, c.Status.ReservedFor[0].Name, memory.Value(),
				compute.Value()))
		}
	}
	slices.Sort(list)
	return list, nil
}
