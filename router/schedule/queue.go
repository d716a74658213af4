package schedule

// list is keys in an order. A key leaves from any place at no cost.
type list struct {
	first, last *key
	kind        listKind
}

// listKind is what a key may stand in at once: one list of each.
type listKind uint8

const (
	inQueue listKind = iota
	amongBlocked
	listKinds
)

// links are the keys beside one in a list.
type links struct{ prev, next *key }

func (l *list) push(k *key) {
	k.links[l.kind] = links{prev: l.last}
	if l.last == nil {
		l.first = k
	} else {
		l.last.links[l.kind].next = k
	}
	l.last = k
}

// unshift puts a key before the others.
func (l *list) unshift(k *key) {
	k.links[l.kind] = links{next: l.first}
	if l.first == nil {
		l.last = k
	} else {
		l.first.links[l.kind].prev = k
	}
	l.first = k
}

func (l *list) remove(k *key) {
	at := k.links[l.kind]
	if at.prev == nil {
		l.first = at.next
	} else {
		at.prev.links[l.kind].next = at.next
	}
	if at.next == nil {
		l.last = at.prev
	} else {
		at.next.links[l.kind].prev = at.prev
	}
	k.links[l.kind] = links{}
}

// queue is keys, first come, first served. Each knows which it stands in.
type queue struct{ list }

func (q *queue) push(k *key) {
	k.queue = q
	q.list.push(k)
}

func (q *queue) unshift(k *key) {
	k.queue = q
	q.list.unshift(k)
}

func (q *queue) remove(k *key) {
	k.queue = nil
	q.list.remove(k)
}
