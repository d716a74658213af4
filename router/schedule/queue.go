package schedule

// queue is keys, first come, first served. A key leaves from any place at no cost.
type queue struct{ first, last *key }

func (q *queue) push(k *key) {
	k.queue, k.prev, k.then = q, q.last, nil
	if q.last == nil {
		q.first = k
	} else {
		q.last.then = k
	}
	q.last = k
}

// unshift puts a key before the others.
func (q *queue) unshift(k *key) {
	k.queue, k.prev, k.then = q, nil, q.first
	if q.first == nil {
		q.last = k
	} else {
		q.first.prev = k
	}
	q.first = k
}

func (q *queue) remove(k *key) {
	if k.prev == nil {
		q.first = k.then
	} else {
		k.prev.then = k.then
	}
	if k.then == nil {
		q.last = k.prev
	} else {
		k.then.prev = k.prev
	}
	k.queue, k.prev, k.then = nil, nil, nil
}
