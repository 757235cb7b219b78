package live

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/weir-gpu/weir/kube/ask"
)

// lead waits for the lead, does the work while it has it, and gives it back
// only when the work has stopped.
func (s *Scheduler) lead(ctx context.Context, work func(context.Context) error) error {
	// The election outlives ctx until the work has stopped.
	electing, endElection := context.WithCancel(context.WithoutCancel(ctx))
	defer endElection()
	done := make(chan error, 1)
	started := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: ask.Lease,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: s.opts.LeaseNamespace, Name: ask.Lease},
			Client:     s.clients.kube.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: s.opts.Name},
		},
		LeaseDuration:   15 * time.Second,
		RenewDeadline:   10 * time.Second,
		RetryPeriod:     2 * time.Second,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				close(started)
				s.log.Info("took the lead", "instance", s.opts.Name)
				leading, stop := context.WithCancel(leading)
				defer stop()
				defer context.AfterFunc(ctx, stop)()
				done <- work(leading)
				endElection()
			},
			OnStoppedLeading: func() {},
			OnNewLeader:      s.health.leader,
		},
	})
	if err != nil {
		return fmt.Errorf("preparing the leader election: %w", err)
	}
	stopWaiting := context.AfterFunc(ctx, func() {
		select {
		case <-started: // the work ends the election
		default:
			endElection()
		}
	})
	defer stopWaiting()
	elector.Run(electing)
	select {
	case <-started:
	default:
		return nil // ctx ended before there was a lead to take
	}
	if err := <-done; err != nil || ctx.Err() != nil {
		return err
	}
	return ErrLeadershipLost
}
