package quick

// evaluated are the members or items of one value that some schema has judged.
type evaluated struct {
	all  bool
	bits []uint64
}

func newEvaluated(v any) *evaluated {
	n := 0
	switch v := v.(type) {
	case *object:
		n = len(v.members)
	case *array:
		n = len(v.items)
	}
	return &evaluated{bits: make([]uint64, (n+63)/64)}
}

func (e *evaluated) fresh() *evaluated { return &evaluated{bits: make([]uint64, len(e.bits))} }

func (e *evaluated) mark(i int) {
	if e != nil {
		e.bits[i/64] |= 1 << (i % 64)
	}
}

func (e *evaluated) markAll()       { e.all = true }
func (e *evaluated) has(i int) bool { return e.all || e.bits[i/64]>>(i%64)&1 == 1 }

func (e *evaluated) merge(other *evaluated) {
	e.all = e.all || other.all
	for i, b := range other.bits {
		e.bits[i] |= b
	}
}
