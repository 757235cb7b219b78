package sched

// heap is a binary heap whose elements know their place, so that any of them
// can be repaired or removed in O(log n). It keeps no order among equals:
// less has to be total.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
	at    func(T) *int // where an element keeps its place; -1 when out
}

func (h *heap[T]) len() int { return len(h.items) }

func (h *heap[T]) top() T { return h.items[0] }

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	*h.at(x) = len(h.items) - 1
	h.up(len(h.items) - 1)
}

// init restores the heap after any number of elements changed.
func (h *heap[T]) init() {
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

// fix repairs the heap after x changed; it does nothing when x is out.
func (h *heap[T]) fix(x T) {
	if i := *h.at(x); i >= 0 && !h.up(i) {
		h.down(i)
	}
}

// remove takes x out; it does nothing when x is out already.
func (h *heap[T]) remove(x T) {
	i := *h.at(x)
	if i < 0 {
		return
	}
	last := len(h.items) - 1
	h.swap(i, last)
	var zero T
	h.items[last] = zero
	h.items = h.items[:last]
	*h.at(x) = -1
	if i < last && !h.up(i) {
		h.down(i)
	}
}

func (h *heap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.at(h.items[i]) = i
	*h.at(h.items[j]) = j
}

func (h *heap[T]) up(i int) bool {
	moved := false
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(h.items[i], h.items[parent]) {
			break
		}
		h.swap(i, parent)
		i, moved = parent, true
	}
	return moved
}

func (h *heap[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if child+1 < len(h.items) && h.less(h.items[child+1], h.items[child]) {
			child++
		}
		if !h.less(h.items[child], h.items[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

// pop takes out the least element.
func (h *heap[T]) pop() T {
	x := h.items[0]
	last := len(h.items) - 1
	h.swap(0, last)
	var zero T
	h.items[last] = zero
	h.items = h.items[:last]
	*h.at(x) = -1
	if last > 0 {
		h.down(0)
	}
	return x
}
