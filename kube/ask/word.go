package ask

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// word is one word as somebody wrote it: the spelling, and the text.
type word struct {
	field string
	value string
	set   bool
}

// bad returns an error about w.
func (w word) bad(wrong, valid string) error {
	return &Error{Field: w.field, Value: w.value, Wrong: wrong, Valid: valid}
}

// find returns the word called name on obj. Annotations win over labels; a
// word that is written in two spellings must say the same in both.
func find(obj metav1.Object, name string) (word, error) {
	w := written(obj, name)
	other, ok := aliases[name]
	if !ok {
		return w, nil
	}
	o := written(obj, other)
	if w.set && o.set && w.value != o.value {
		return word{}, w.bad("contradicts "+o.field+" \""+o.value+"\"", "keep one of the two")
	}
	if w.set {
		return w, nil
	}
	return o, nil
}

func written(obj metav1.Object, name string) word {
	if v, ok := obj.GetAnnotations()[name]; ok {
		return word{name, v, true}
	}
	v, ok := obj.GetLabels()[name]
	return word{name, v, ok}
}

// ShareWord returns the first word on obj that asks for a share of a GPU, in
// the spelling used, or "".
func ShareWord(obj metav1.Object) string {
	for _, name := range shareWords {
		for _, spelling := range []string{name, aliases[name]} {
			if spelling != "" && written(obj, spelling).set {
				return spelling
			}
		}
	}
	return ""
}

// Container returns the index among the pod's containers of the one that gets
// the pod's share: the one named by [GPUContainer], else the first.
func Container(pod *corev1.Pod) (int, error) {
	w, err := find(pod, GPUContainer)
	if err != nil || !w.set {
		return 0, err
	}
	names := make([]string, len(pod.Spec.Containers))
	for i, c := range pod.Spec.Containers {
		if c.Name == w.value {
			return i, nil
		}
		names[i] = c.Name
	}
	return 0, w.bad("is not a container of the pod", "write one of "+strings.Join(names, ", "))
}
