package state

import (
	"errors"
	"reflect"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

// claimed is a ResourceClaim. What it holds belongs to the grant of the pod
// that it is reserved for; where there is no such pod of Weir's, it is room
// that somebody else takes.
type claimed struct {
	obj  *resourcev1.ResourceClaim
	uid  types.UID // of the one pod that it is reserved for
	held sched.Grant
	told *sched.Occupied
}

func claimKey(namespace, name string) string { return namespace + "/" + name }

func (s *State) setClaim(c *resourcev1.ResourceClaim) {
	key := claimKey(c.Namespace, c.Name)
	x := s.claims[key]
	if x == nil {
		x = &claimed{}
		s.claims[key] = x
	}
	s.loosen(key, x)
	x.obj = c
	x.uid = holder(c)
	for _, r := range c.Status.ReservedFor {
		link(s.mentions, r.UID, key)
	}
	s.touchClaim(key)
}

func (s *State) dropClaim(c *resourcev1.ResourceClaim) {
	key := claimKey(c.Namespace, c.Name)
	x := s.claims[key]
	if x == nil {
		return
	}
	s.touchClaim(key)
	s.loosen(key, x)
	x.obj, x.uid = nil, ""
}

// loosen takes a claim out of the indices, and marks the pod that held it.
func (s *State) loosen(key string, x *claimed) {
	if x.uid != "" {
		s.touchHolder(x)
	}
	if x.obj != nil {
		for _, r := range x.obj.Status.ReservedFor {
			unlink(s.mentions, r.UID, key)
		}
	}
	if x.held.Node != "" {
		s.node(x.held.Node).claims.remove(key)
		x.held = sched.Grant{}
	}
}

// touchClaim marks a claim, the pod that holds it and those that name it.
func (s *State) touchClaim(key string) {
	s.dirty.claims.add(key)
	if x := s.claims[key]; x != nil && x.obj != nil {
		s.read(key, x)
		s.touchHolder(x)
	}
	for id := range s.byClaim[key] {
		s.dirty.pods.add(id)
	}
}

// read takes over what a claim holds.
func (s *State) read(key string, x *claimed) {
	held, _, err := claim.Held(x.obj, s.device)
	s.report("ResourceClaim", key, err)
	x.held = held
	if held.Node != "" {
		s.node(held.Node).claims.add(key)
	}
}

// device looks up a device of a node.
func (s *State) device(node, name string) (sched.Device, bool) {
	if n := s.nodes[node]; n != nil && n.told != nil {
		for _, d := range n.told.Devices {
			if d.Name == name {
				return d, true
			}
		}
	}
	return sched.Device{}, false
}

// touchHolder marks the pod that the claim is reserved for.
func (s *State) touchHolder(x *claimed) {
	for _, r := range x.obj.Status.ReservedFor {
		if r.UID == x.uid {
			s.dirty.pods.add(claimKey(x.obj.Namespace, r.Name))
		}
	}
}

// holder returns the UID of the pod that a claim is reserved for, or "" when
// it is reserved for nobody, for more than one, or for something else.
func holder(c *resourcev1.ResourceClaim) types.UID {
	if len(c.Status.ReservedFor) != 1 {
		return ""
	}
	r := c.Status.ReservedFor[0]
	if r.APIGroup != "" || r.Resource != "pods" {
		return ""
	}
	return r.UID
}

// holding returns what the claims reserved for a pod hold together. ok is
// false when they hold nothing; odd says what does not fit together.
func (s *State) holding(uid types.UID) (g sched.Grant, keys []string, odd error) {
	for _, key := range s.mentions[uid].keys() {
		x := s.claims[key]
		if x.uid != uid || x.held.Node == "" {
			continue
		}
		if g.Node == "" {
			g.Node = x.held.Node
		}
		if x.held.Node != g.Node {
			odd = errors.New("its claims are allocated on different nodes; delete the pod to have them made anew")
			continue
		}
		g.Devices = append(g.Devices, x.held.Devices...)
		keys = append(keys, key)
	}
	return g, keys, odd
}

// deriveClaim tells of what a claim holds that is no part of a grant.
func (s *State) deriveClaim(key string, d *difference) {
	x := s.claims[key]
	if x == nil {
		return
	}
	var next *sched.Occupied
	if x.obj != nil && x.held.Node != "" && !s.isGrant(x) {
		next = &sched.Occupied{ID: "claim " + key, Node: x.held.Node, Shares: x.held.Devices}
		next.Devices, next.Leaving = len(x.held.Devices), s.deserted(x)
	}
	switch {
	case next == nil && x.told != nil:
		d.podsGone = append(d.podsGone, sched.Vacated{ID: x.told.ID})
	case next != nil && (x.told == nil || !reflect.DeepEqual(*next, *x.told)):
		d.pods = append(d.pods, *next)
	}
	x.told = next
	if x.obj == nil {
		s.report("ResourceClaim", key, nil)
		delete(s.claims, key)
	}
}

// isGrant reports whether what a claim holds is in the grant of a pod that the
// engine was told of.
func (s *State) isGrant(x *claimed) bool {
	if x.uid == "" {
		return false
	}
	for _, r := range x.obj.Status.ReservedFor {
		p := s.pods[claimKey(x.obj.Namespace, r.Name)]
		return p != nil && p.obj.UID == x.uid && p.told.granted && p.told.grant.Node == x.held.Node
	}
	return false
}

// deserted reports whether all pods that a claim is reserved for are gone: it
// is about to be freed.
func (s *State) deserted(x *claimed) bool {
	for _, r := range x.obj.Status.ReservedFor {
		if r.APIGroup != "" || r.Resource != "pods" {
			return false
		}
		if p := s.pods[claimKey(x.obj.Namespace, r.Name)]; p != nil && p.obj != nil && p.obj.UID == r.UID {
			return false
		}
	}
	return true
}

// setTemplate takes in a claim template, or drops it when t is nil.
func (s *State) setTemplate(namespace, name string, t *resourcev1.ResourceClaimTemplate) {
	key := claimKey(namespace, name)
	if t == nil {
		delete(s.templates, key)
	} else {
		s.templates[key] = t
	}
	for id := range s.byClaim[templateKey(key)] {
		s.dirty.pods.add(id)
	}
}

func templateKey(key string) string { return "template " + key }

// Claim implements [ask.Claims].
func (s *State) Claim(namespace, name string) *resourcev1.ResourceClaim {
	if x := s.claims[claimKey(namespace, name)]; x != nil {
		return x.obj
	}
	return nil
}

// Template implements [ask.Claims].
func (s *State) Template(namespace, name string) *resourcev1.ResourceClaimTemplate {
	return s.templates[claimKey(namespace, name)]
}

var _ ask.Claims = (*State)(nil)

// namedClaims returns the keys of the claims and templates that a pod names.
func namedClaims(p *pod) []string {
	var keys []string
	for i := range p.obj.Spec.ResourceClaims {
		ref := &p.obj.Spec.ResourceClaims[i]
		if name := ask.ClaimName(p.obj, ref); name != "" {
			keys = append(keys, claimKey(p.obj.Namespace, name))
		}
		if ref.ResourceClaimTemplateName != nil {
			keys = append(keys, templateKey(claimKey(p.obj.Namespace, *ref.ResourceClaimTemplateName)))
		}
	}
	return keys
}
