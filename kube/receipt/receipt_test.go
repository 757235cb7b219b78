package receipt_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/weir-gpu/weir/kube/receipt"
	"github.com/weir-gpu/weir/sched"
)

func TestWords(t *testing.T) {
	stop := func(rule sched.Rule) *sched.Decision {
		action := sched.Evict
		if rule == sched.Consolidate {
			action = sched.Move
		}
		return &sched.Decision{Action: action, Rule: rule, Pod: "ml/train-0", Workload: "ml/job/train",
			For: "vision/job/big", ForOwner: "project/vision", Grant: sched.Grant{Node: "n2"}}
	}
	for _, c := range []struct {
		d            *sched.Decision
		reason, want string
		now          string
	}{
		{stop(sched.Reclaim), "Reclaimed", "Stopped by Weir: it ran on borrowed GPUs, to which " +
			"project vision has the better right, for vision/big.", "It waits and starts again when there is room."},
		{stop(sched.Preempt), "Preempted", "Stopped by Weir: vision/big of the same project (project vision) " +
			"has a higher priority.", "It waits and starts again when there is room."},
		{stop(sched.Consolidate), "Moved", "Stopped by Weir: it moves to node n2, to make room for vision/big " +
			"of project vision.", "Its place on the other node is kept."},
	} {
		if got := receipt.Reason(c.d); got != c.reason {
			t.Errorf("reason %s, want %s", got, c.reason)
		}
		if got := receipt.Why(c.d); got != c.want {
			t.Errorf("why:  %s\nwant: %s", got, c.want)
		}
		if got := receipt.WhatNow(c.d, true); got != c.now {
			t.Errorf("what now: %s\nwant: %s", got, c.now)
		}
	}
}

func TestPlaced(t *testing.T) {
	whole := sched.Share{Device: "gpu-0", MemoryMiB: 80000, ComputeMilli: 1000}
	half := sched.Share{Device: "gpu-3", MemoryMiB: 40000, ComputeMilli: 500}
	for want, d := range map[string]sched.Decision{
		"Started on node n1.": {Grant: sched.Grant{Node: "n1"}},
		"Started on node n1 with gpu-0.": {
			Grant: sched.Grant{Node: "n1", Devices: []sched.Share{whole}}},
		"Started on node n1 with 40000 MiB of gpu-3. It runs on borrowed GPUs: their owner may take them back.": {
			Borrowed: true, Grant: sched.Grant{Node: "n1", Devices: []sched.Share{half}}},
	} {
		if got := receipt.Placed(&d, false); got != want {
			t.Errorf("placed: %s\nwant:   %s", got, want)
		}
	}
	d := sched.Decision{Grant: sched.Grant{Node: "n1", Devices: []sched.Share{whole, whole}}}
	if got, want := receipt.Placed(&d, true), "Started on node n1 with 2 GPUs."; got != want {
		t.Errorf("placed: %s, want %s", got, want)
	}
}

func TestToldTwiceIsOneEvent(t *testing.T) {
	client := fake.NewClientset()
	now := clocktesting.NewFakePassiveClock(time.Unix(1_800_000_000, 0))
	w := receipt.NewWriter(client, now, "weir-0", func(string, string) {})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: strings.Repeat("p", 253), UID: "1"}}
	r := &receipt.Receipt{
		About: receipt.AboutPod(pod), Reason: "Reclaimed", Action: "Evict", Note: strings.Repeat("é", 900),
	}
	for range 2 {
		if err := w.Write(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	events, err := client.EventsV1().Events("ml").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(events.Items) != 1 {
		t.Fatalf("%d events, %v", len(events.Items), err)
	}
	if e := events.Items[0]; len(e.Note) > 1024 || len(e.Name) > 253 || e.Regarding.UID != "1" {
		t.Errorf("note of %d bytes, name of %d", len(e.Note), len(e.Name))
	}
}
