package state

import (
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
)

// Loss is a pod with devices that are lost.
type Loss struct {
	Pod     string // ID
	Node    string
	Devices []string
}

// Losses are the pods that hold a device which is lost: by its taint, who runs
// there is to be stopped. In order of their IDs.
func (s *State) Losses() (all []Loss) {
	for name := range s.lossy {
		n := s.nodes[name]
		lost := lostOf(n)
		for key := range n.claims {
			x := s.claims[key]
			if x == nil || x.obj == nil || x.uid == "" {
				continue
			}
			var devices []string
			for _, d := range x.held.Devices {
				if _, gone := lost[d.Device]; gone {
					devices = append(devices, d.Device)
				}
			}
			for _, r := range x.obj.Status.ReservedFor {
				if r.UID == x.uid && len(devices) > 0 {
					all = append(all, Loss{claimKey(x.obj.Namespace, r.Name), name, devices})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b Loss) int { return slices.Compare([]string{a.Pod}, []string{b.Pod}) })
	return all
}

// lostOf are the devices of a node with the taint, by name.
func lostOf(n *node) set[string] {
	lost := set[string]{}
	for _, slice := range n.slices {
		for _, d := range slice.Spec.Devices {
			for _, t := range d.Taints {
				if t.Effect == resourcev1.DeviceTaintEffectNoExecute {
					lost.add(d.Name)
				}
			}
		}
	}
	return lost
}

// noteLosses keeps which nodes have lost devices.
func (s *State) noteLosses(name string) {
	delete(s.lossy, name)
	if len(lostOf(s.nodes[name])) > 0 {
		s.lossy.add(name)
	}
}
