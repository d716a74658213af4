package schema

import (
	"slices"
	"strconv"
	"strings"
)

// place is a value of the event with problems in it.
type place struct {
	own  []*problem
	kids map[string]*place
}

// first is the problem that stands first in data, which is valid JSON: a value
// comes before those inside it. The library's order is random, and its maps have
// forgotten that of the members.
func first(data []byte, list []problem) *problem {
	root := &place{}
	for i := range list {
		at := root
		for _, tok := range list[i].loc {
			if at.kids == nil {
				at.kids = map[string]*place{}
			}
			next := at.kids[tok]
			if next == nil {
				next = &place{}
				at.kids[tok] = next
			}
			at = next
		}
		at.own = append(at.own, &list[i])
	}
	d := open(data)
	defer d.release()
	for at := root; at != nil; at = d.enter(at) {
		if len(at.own) > 0 {
			return slices.MinFunc(at.own, func(a, b *problem) int { return a.compare(b) })
		}
	}
	// Only if a location were not in data; the answer is still always the same.
	p := slices.MinFunc(list, func(a, b problem) int {
		if c := strings.Compare(pointerTo(a.loc), pointerTo(b.loc)); c != 0 {
			return c
		}
		return a.compare(&b)
	})
	return &p
}

// enter reads up to the first value inside the current one that has problems.
func (d *decoder) enter(at *place) *place {
	tok, err := d.dec.ReadToken()
	if err != nil {
		return nil
	}
	object := tok.Kind() == '{'
	if !object && tok.Kind() != '[' {
		return nil
	}
	for i := 0; ; i++ {
		name := strconv.Itoa(i)
		switch kind := d.dec.PeekKind(); {
		case kind == ']' || kind == '}':
			return nil
		case object:
			tok, err := d.dec.ReadToken()
			if err != nil {
				return nil
			}
			name = tok.String()
		}
		if kid := at.kids[name]; kid != nil {
			return kid
		}
		if d.dec.SkipValue() != nil {
			return nil
		}
	}
}
