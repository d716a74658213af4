package schedule

import "container/heap"

// times is a heap of the keys that wait for a time, the earliest first.
type times []*key

func (h *times) push(k *key)   { heap.Push((*order)(h), k) }
func (h *times) remove(k *key) { heap.Remove((*order)(h), k.index) }

// order is times as package heap wants it.
type order []*key

func (h order) Len() int           { return len(h) }
func (h order) Less(i, j int) bool { return h[i].due < h[j].due }
func (h order) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *order) Push(x any) {
	k := x.(*key)
	k.index = len(*h)
	*h = append(*h, k)
}

// Pop implements heap.Interface.
func (h *order) Pop() any {
	last := len(*h) - 1
	k := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	k.index = -1
	return k
}
