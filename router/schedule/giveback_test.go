package schedule

import (
	"slices"

	"pgregory.net/rapid"
)

// giveBack takes what the machine gives back: only while nothing starts, and only the last
// ones of a key, which were never attempted.
func (s *model) giveBack(t *rapid.T) {
	n, none := s.m.Excess(), s.paused || s.m.Hold().Held || s.m.Breaker().Open // attempts but probes
	all := s.m.GiveBack(s.now)
	if len(all) != n || n > 0 && (s.draining || !none) {
		t.Fatalf("%d given back, want %d; paused %v, draining %v", len(all), n, s.paused, s.draining)
	}
	back := map[string][]*sent{}
	for _, d := range all {
		known := s.of[d.Message]
		if known.started || known.tried || known.final {
			t.Fatalf("given back, started %v, tried %v", known.started, known.tried)
		}
		back[known.key] = append(back[known.key], known)
	}
	for key, of := range back {
		keep := len(s.sent[key]) - len(of)
		if !slices.Equal(s.sent[key][keep:], of) {
			t.Fatal("given back, and not the last of its key")
		}
		s.sent[key] = s.sent[key][:keep]
		s.returned[key] = append(of, s.returned[key]...)
	}
	s.check(t)
	s.m.GivenBack(len(all))
}

// readAgain has the first of what was given back of a key come once more.
func (s *model) readAgain(t *rapid.T, key string) {
	if of := s.returned[key]; len(of) > 0 {
		s.returned[key] = of[1:]
		s.comes(t, of[0])
	}
}
