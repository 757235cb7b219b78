package fitness

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/weir-gpu/weir/sched"
)

// scene is who is where, as the plugins want to see it. It is peopled only
// when a moving class first asks, since static ones look at nodes alone.
type scene struct {
	infos   map[string]*framework.NodeInfo
	at      map[*entry]string // where each pod stands; nil until peopled
	staged  []sched.Placement // placements played on top of what is
	undo    []func()
	version atomic.Uint64 // counts changes

	// Lists drawn from the above, for the version that they were drawn at.
	drawn  uint64
	nodes  []fwk.NodeInfo
	affine []fwk.NodeInfo
	averse []fwk.NodeInfo
}

func newScene() *scene {
	s := &scene{infos: map[string]*framework.NodeInfo{}}
	s.touch()
	return s
}

// touch says that answers may have changed. Unlike all else here it may be
// called from any goroutine.
func (s *scene) touch() { s.version.Add(1) }

func (s *scene) setNode(node *corev1.Node) {
	s.strike()
	info := s.infos[node.Name]
	if info == nil {
		info = framework.NewNodeInfo()
		s.infos[node.Name] = info
		s.nodes = nil
		for e, at := range s.at {
			if at == node.Name {
				info.AddPod(e.pod)
			}
		}
	}
	info.SetNode(node)
	s.touch()
}

func (s *scene) dropNode(name string) {
	s.strike()
	delete(s.infos, name)
	s.nodes = nil
	s.touch()
}

func (s *scene) add(e *entry) {
	if s.at == nil || e.node() == "" {
		return
	}
	s.strike()
	s.put(e, e.node())
}

func (s *scene) remove(e *entry) {
	if s.at == nil || s.at[e] == "" {
		return
	}
	s.strike()
	s.put(e, "")
}

// put moves a pod to a node, or away when the node is "".
func (s *scene) put(e *entry, node string) {
	if old := s.at[e]; old != "" {
		if info := s.infos[old]; info != nil {
			// It fails only for a pod that the node does not have.
			_ = info.RemovePod(klog.Background(), e.pod)
		}
	}
	delete(s.at, e)
	if node != "" {
		s.at[e] = node
		if info := s.infos[node]; info != nil {
			info.AddPod(e.pod)
		}
	}
	s.touch()
}

// stage makes the scene show the given placements on top of what is. Calls
// with a growing list, as when a gang is placed, cost only what is new.
func (s *scene) stage(others []sched.Placement, pods map[string]*entry) {
	if s.at == nil {
		s.at = make(map[*entry]string, len(pods))
		for _, e := range pods {
			s.add(e)
		}
	}
	same := 0
	for same < len(s.staged) && same < len(others) && s.staged[same] == others[same] {
		same++
	}
	s.unstage(same)
	for _, o := range others[same:] {
		e := pods[o.Pod]
		s.staged = append(s.staged, o)
		if e == nil || s.at[e] == o.Node {
			s.undo = append(s.undo, func() {})
			continue
		}
		was := s.at[e]
		s.put(e, o.Node)
		s.undo = append(s.undo, func() { s.put(e, was) })
	}
}

// strike takes all staged placements back.
func (s *scene) strike() { s.unstage(0) }

func (s *scene) unstage(keep int) {
	for i := len(s.undo) - 1; i >= keep; i-- {
		s.undo[i]()
	}
	s.undo, s.staged = s.undo[:keep], s.staged[:keep]
}

// draw brings the lists up to date.
func (s *scene) draw() {
	version := s.version.Load()
	if s.drawn == version {
		return
	}
	s.drawn = version
	if s.nodes == nil {
		for _, info := range s.infos {
			s.nodes = append(s.nodes, info)
		}
		slices.SortFunc(s.nodes, func(a, b fwk.NodeInfo) int { return cmp.Compare(a.Node().Name, b.Node().Name) })
	}
	s.affine, s.averse = nil, nil
	for _, info := range s.nodes {
		if len(info.GetPodsWithAffinity()) > 0 {
			s.affine = append(s.affine, info)
		}
		if len(info.GetPodsWithRequiredAntiAffinity()) > 0 {
			s.averse = append(s.averse, info)
		}
	}
}

func (s *scene) list() []fwk.NodeInfo {
	s.draw()
	return s.nodes
}

// The rest makes a scene a [fwk.SharedLister].

func (s *scene) NodeInfos() fwk.NodeInfoLister           { return nodeLister{s} }
func (s *scene) StorageInfos() fwk.StorageInfoLister     { return storageLister{s} }
func (s *scene) PodGroupStates() fwk.PodGroupStateLister { return nil }

type nodeLister struct{ *scene }

func (l nodeLister) List() ([]fwk.NodeInfo, error) { return l.list(), nil }

func (l nodeLister) HavePodsWithAffinityList() ([]fwk.NodeInfo, error) {
	l.draw()
	return l.affine, nil
}

func (l nodeLister) HavePodsWithRequiredAntiAffinityList() ([]fwk.NodeInfo, error) {
	l.draw()
	return l.averse, nil
}

func (l nodeLister) Get(name string) (fwk.NodeInfo, error) {
	info := l.infos[name]
	if info == nil {
		return nil, fmt.Errorf("node %q is not known", name)
	}
	return info, nil
}

type storageLister struct{ *scene }

func (l storageLister) IsPVCUsedByPods(key string) bool {
	for _, info := range l.infos {
		if info.GetPVCRefCounts()[key] > 0 {
			return true
		}
	}
	return false
}
