package chaos_test

import (
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// answer is what a receiver does with one attempt.
type answer int

const (
	ok200   answer = iota
	fail500        // counts
	busy429        // with Retry-After: 1; does not count
	down503        // does not count
	bad400         // final
	hang           // no answer before the attempt's deadline
	reset          // the connection is reset
	slow200        // after a second
	kinds          // how many there are
)

func (a answer) delivers() bool { return a == ok200 || a == slow200 }
func (a answer) spends() bool   { return a != busy429 && a != down503 }

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	switch a {
	case fail500:
		w.WriteHeader(http.StatusInternalServerError)
	case busy429:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case down503:
		w.WriteHeader(http.StatusServiceUnavailable)
	case bad400:
		w.WriteHeader(http.StatusBadRequest)
	case hang:
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second): // a sender that never gives up would be seen as too slow a run
		}
	case reset:
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			harness.Reset(conn)
		}
	case slow200:
		<-time.After(time.Second) // what makes it slow
	}
}

// profile is how one destination behaves: events of 10,000.
type profile struct {
	fails, busy, hang, reset, slow int
	bad                            int    // of the users in badUser: answered 400 for ever
	failing                        string // this user is answered 500 for ever
	healthy                        bool   // it answers 200 at once, always
	down                           bool   // it is wholly down for a while
}

// script chooses answers by seed, destination, user and number alone, so that
// a run can be repeated.
type script struct {
	seed     uint64
	profiles map[string]profile
}

func hash(seed uint64, destination, user string, n int) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.FormatUint(seed, 16) + "/" + destination + "/" + user + "/" + strconv.Itoa(n)))
	x := h.Sum64() // FNV's low bits are poor for inputs that differ at their end
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

func userNumber(user string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(user, "u"))
	return n
}

// healthyUser is one whose events every destination answers with 200 at once.
func healthyUser(user string) bool { return userNumber(user)%4 == 1 }

// badUser is one of whose events some are answered 400.
func badUser(user string) bool { return userNumber(user)%10 == 2 }

// plan lists the answers to the attempts of one event; the last stays.
func (s *script) plan(destination, user string, n int, closing bool) []answer {
	p := s.profiles[destination]
	if p.healthy || closing || healthyUser(user) {
		return []answer{ok200}
	}
	if user == p.failing {
		return []answer{fail500}
	}
	roll := int(hash(s.seed, destination, user, n) % 10_000)
	of := func(share int) bool { roll -= share; return roll < 0 }
	switch {
	case badUser(user) && of(p.bad):
		return []answer{bad400}
	case of(p.fails):
		return []answer{fail500, fail500, ok200}
	case of(p.busy):
		return []answer{busy429, ok200}
	case of(p.hang):
		return []answer{hang, ok200}
	case of(p.reset):
		return []answer{reset, ok200}
	case of(p.slow):
		return []answer{slow200}
	}
	return []answer{ok200}
}

func (s *script) answer(destination, user string, n, before int, closing bool) answer {
	plan := s.plan(destination, user, n, closing)
	return plan[min(before, len(plan)-1)]
}

// endsPoisoned says whether an event can only end in the poison queue.
func (s *script) endsPoisoned(destination, user string, n int, closing bool) bool {
	plan := s.plan(destination, user, n, closing)
	return !plan[len(plan)-1].delivers()
}

// chaosScript is how the receivers of mixedSet answer: one destination is always healthy, one
// goes down, one has a user that always fails.
func chaosScript(seed uint64) *script {
	return &script{seed: seed, profiles: map[string]profile{
		"healthy": {healthy: true},
		"flaky":   {fails: 300, busy: 10, hang: 10, reset: 100, slow: 50, bad: 100},
		"moody":   {fails: 100, busy: 20, hang: 5, reset: 50, slow: 100, bad: 50, failing: failingUser},
		"down":    {fails: 50, reset: 20, bad: 20, down: true},
		"slow":    {slow: 300, hang: 10, fails: 50},
	}}
}

const failingUser = "u7"

// The script is what the suite says it is: every answer occurs, most are 200,
// the same seed gives the same run and another seed another.
func TestScript(t *testing.T) {
	a, b := chaosScript(1), chaosScript(2)
	var seen [kinds]int
	total, differ := 0, 0
	for d := range a.profiles {
		for u := range 100 {
			user := "u" + strconv.Itoa(u)
			for n := 1; n <= 100; n++ {
				first := a.answer(d, user, n, 0, false)
				seen[first]++
				total++
				if first != a.answer(d, user, n, 0, false) {
					t.Fatal("the script has no memory, and changed its mind")
				}
				if first != b.answer(d, user, n, 0, false) {
					differ++
				}
				if a.endsPoisoned(d, user, n, true) || a.endsPoisoned("healthy", user, n, false) || (healthyUser(user) && first != ok200) {
					t.Fatalf("%s: event %d of %s must be answered 200", d, n, user)
				}
				if ends := a.answer(d, user, n, 9, false).delivers(); ends == a.endsPoisoned(d, user, n, false) {
					t.Fatalf("%s: event %d of %s: delivered at last is %v, endsPoisoned the same", d, n, user, ends)
				}
			}
		}
	}
	for _, k := range []answer{fail500, busy429, bad400, hang, reset, slow200} {
		if seen[k] == 0 {
			t.Errorf("answer %d never occurs", k)
		}
	}
	if seen[ok200] < total*9/10 || differ == 0 {
		t.Errorf("%d of %d are answered 200 at once; %d differ with the seed", seen[ok200], total, differ)
	}
}
