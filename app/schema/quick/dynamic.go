package quick

import "strings"

// dynamicRef leads to the outermost document on the way here that has the anchor.
// Schemas of events have none; JSON Schema's own schema has.
type dynamicRef struct {
	target *rules
	anchor string
}

// resource is a document that a $dynamicRef can lead to.
type resource struct{ anchors map[string]*rules }

func (d *dynamicRef) resolve(scope []*resource) *rules {
	if d.anchor != "" {
		for _, res := range scope {
			if s := res.anchors[d.anchor]; s != nil {
				return s
			}
		}
	}
	return d.target
}

// resources tells each schema which document it is of: the nearest schema around
// it with an $id, or the whole file.
func (b *builder) resources() {
	byRoot := map[string]*resource{}
	for s := range b.done {
		if s.ID != "" {
			byRoot[s.Location] = &resource{anchors: map[string]*rules{}}
		}
	}
	of := func(location string) *resource {
		for at := location; ; {
			if res := byRoot[at]; res != nil {
				return res
			}
			i := strings.LastIndexByte(at, '/')
			if i < strings.IndexByte(at, '#') || i < 0 {
				file, _, _ := strings.Cut(location, "#")
				if byRoot[file] == nil {
					byRoot[file] = &resource{anchors: map[string]*rules{}}
				}
				return byRoot[file]
			}
			at = at[:i]
		}
	}
	for s, r := range b.done {
		r.resource = of(s.Location)
		if s.DynamicAnchor != "" {
			r.resource.anchors[s.DynamicAnchor] = r
		}
	}
}
