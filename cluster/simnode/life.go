package simnode

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// step is what a pod's kubelet does next.
type step int

const (
	rest   step = iota // nothing, or nothing before the time that comes with it
	run                // report the pod as Running
	finish             // report the end of its containers
	remove             // let the API server forget the pod
)

// next decides what to do with a bound pod. started is when it began to run, if
// it did. With rest, at is when to ask
// again; zero for when something changes.
func next(pod *corev1.Pod, started, now time.Time) (s step, at time.Time) {
	switch {
	case pod.DeletionTimestamp != nil:
		if due := stopped(pod); now.Before(due) {
			return rest, due
		}
		// Who holds the pod by a finalizer wants to see how it ended.
		if !ended(pod) && len(pod.Finalizers) > 0 {
			return finish, time.Time{}
		}
		return remove, time.Time{}
	case ended(pod):
		return rest, time.Time{}
	case pod.Status.Phase != corev1.PodRunning:
		return run, time.Time{}
	}
	life, ok, err := duration(pod, DurationAnnotation)
	if err != nil || !ok {
		return rest, time.Time{}
	}
	if due := started.Add(life); now.Before(due) {
		return rest, due
	}
	return finish, time.Time{}
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// stopped returns when a deleted pod's containers have stopped.
func stopped(pod *corev1.Pod) time.Time {
	var grace time.Duration
	if s := pod.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	asked := pod.DeletionTimestamp.Add(-grace)
	takes, _, err := duration(pod, StopAnnotation)
	if err != nil {
		return asked
	}
	return asked.Add(min(takes, grace))
}

// duration reads an annotation that holds a duration.
func duration(pod *corev1.Pod, annotation string) (d time.Duration, ok bool, err error) {
	text, ok := pod.Annotations[annotation]
	if !ok {
		return 0, false, nil
	}
	d, err = time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, true, fmt.Errorf("annotation %s is %q: use a duration like \"30s\" or \"5m\"", annotation, text)
	}
	return d, true, nil
}

// exitCode reads the exit code that a pod's containers end with.
func exitCode(pod *corev1.Pod) (int32, error) {
	text, ok := pod.Annotations[ExitAnnotation]
	if !ok {
		return 0, nil
	}
	code, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return 1, fmt.Errorf("annotation %s is %q: use an exit code from 0 to 255", ExitAnnotation, text)
	}
	return int32(code), nil
}

// check returns what is wrong with the annotations of a pod, if anything.
func check(pod *corev1.Pod) error {
	for _, annotation := range []string{DurationAnnotation, StopAnnotation} {
		if _, _, err := duration(pod, annotation); err != nil {
			return err
		}
	}
	_, err := exitCode(pod)
	return err
}

// running returns the status of a pod whose containers just started.
func running(pod *corev1.Pod, hostIP string, now time.Time) corev1.PodStatus {
	at := metav1.NewTime(now)
	status := *pod.Status.DeepCopy()
	status.ObservedGeneration = pod.Generation
	status.Phase = corev1.PodRunning
	status.StartTime = &at
	status.HostIP = hostIP
	status.HostIPs = []corev1.HostIP{{IP: hostIP}}
	status.PodIP = address(podNet, string(pod.UID))
	status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	for _, kind := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady,
	} {
		setCondition(&status, kind, corev1.ConditionTrue, "", at)
	}
	up := look{state: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}, ready: true}
	done := look{state: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: "Completed", StartedAt: at, FinishedAt: at,
	}}, ready: true}
	setContainers(&status, pod, up, up, done)
	return status
}

// finished returns the status of a pod whose containers just ended with code.
func finished(pod *corev1.Pod, code int32, now time.Time) corev1.PodStatus {
	at := metav1.NewTime(now)
	status := *pod.Status.DeepCopy()
	status.ObservedGeneration = pod.Generation
	status.Phase = corev1.PodSucceeded
	ready, reason := "PodCompleted", "Completed"
	if code != 0 {
		status.Phase = corev1.PodFailed
		ready, reason = "PodFailed", "Error"
	}
	for _, kind := range []corev1.PodConditionType{corev1.ContainersReady, corev1.PodReady} {
		setCondition(&status, kind, corev1.ConditionFalse, ready, at)
	}
	terminated := func(code int32, reason string, ready bool) look {
		t := &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, FinishedAt: at}
		if status.StartTime != nil {
			t.StartedAt = *status.StartTime
		}
		return look{state: corev1.ContainerState{Terminated: t}, ready: ready}
	}
	end := terminated(code, reason, false)
	setContainers(&status, pod, end, terminated(0, "Completed", false), terminated(0, "Completed", true))
	return status
}

// look is how a container looks from outside.
type look struct {
	state corev1.ContainerState
	ready bool
}

// setContainers reports the containers of a pod: its main ones, its sidecars
// and the ones that have to end before those start.
func setContainers(status *corev1.PodStatus, pod *corev1.Pod, main, side, init look) {
	report := func(c corev1.Container, l look) corev1.ContainerStatus {
		started := l.state.Running != nil
		return corev1.ContainerStatus{
			Name: c.Name, State: l.state, Ready: l.ready, Started: &started,
			Image: c.Image, ImageID: "simulated", ContainerID: "simulated://" + string(pod.UID) + "/" + c.Name,
		}
	}
	status.ContainerStatuses, status.InitContainerStatuses = nil, nil
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, report(c, main))
	}
	for _, c := range pod.Spec.InitContainers {
		l := init
		if sidecar(c) {
			l = side
		}
		status.InitContainerStatuses = append(status.InitContainerStatuses, report(c, l))
	}
}

// sidecar reports whether an init container keeps running beside the others.
func sidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func setCondition(
	status *corev1.PodStatus, kind corev1.PodConditionType, value corev1.ConditionStatus, reason string, at metav1.Time,
) {
	want := corev1.PodCondition{
		Type: kind, Status: value, Reason: reason, LastTransitionTime: at, ObservedGeneration: status.ObservedGeneration,
	}
	for i := range status.Conditions {
		if c := &status.Conditions[i]; c.Type == kind {
			if c.Status == value {
				want.LastTransitionTime = c.LastTransitionTime
			}
			*c = want
			return
		}
	}
	status.Conditions = append(status.Conditions, want)
}
