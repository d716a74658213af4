package chaos_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
	"eventserver/cmd/eventserver/internal/checker"
)

// oracle plays the receivers and holds what arrives against what the clients posted,
// with package checker. It lives in the test's own process, which is never killed or
// paused.
type oracle struct {
	check     *checker.Checker
	causes    causes
	script    *script // nil: everything is answered 200
	receivers map[string]*receiver
	names     []string

	mu       sync.Mutex
	closing  map[string]int         // by user: its last event
	posted   map[string][]time.Time // by user and number-1
	waiting  map[string]time.Time   // by instance: when it was started
	firsts   []time.Duration        // from start to first delivery
	owner    map[string]string      // destination/user: the instance that delivered last
	moves    int                    // changes of it
	answers  [kinds]int             // scripted answers given
	last     time.Time              // of the last first delivery
	gap      time.Duration          // longest time without one, while watched
	watched  bool
	faults   time.Time // when they began; zero: not yet
	ended    time.Time // likewise
	latency  map[string][]time.Duration
	recent   []delay // of the healthy destination
	accepted int
	refused  map[int]int // requests until the end of the faults, by status; 0: without an answer
}

// delay is one latency and when it was measured.
type delay struct {
	at   time.Time
	took time.Duration
}

// newOracle listens once for each destination.
func newOracle(t *testing.T, destinations ...string) *oracle {
	t.Helper()
	o := &oracle{check: checker.New(destinations...), names: destinations, receivers: map[string]*receiver{}, closing: map[string]int{},
		posted: map[string][]time.Time{}, waiting: map[string]time.Time{}, owner: map[string]string{}, latency: map[string][]time.Duration{}, refused: map[int]int{}}
	for _, d := range destinations {
		o.receivers[d] = &receiver{Receiver: harness.NewReceiver(t, o.handler(d))}
	}
	return o
}

// eventID and eventBody are a function of user and number alone, so that what
// arrives can be compared byte for byte with what was posted.
func eventID(user string, n int) string { return user + "-" + strconv.Itoa(n) }

// largeUsers is what the names of those begin with whose events are large.
const largeUsers = "large"

func eventBody(user string, n int) []byte {
	roll := hash(1, "body", user, n)
	pad := strings.Repeat("x", int(roll%300))
	if strings.HasPrefix(user, largeUsers) {
		pad = strings.Repeat("x", 900_000)
	}
	odd := []string{`"é\u00e9 \ud83d\ude00"`, `{"b":1,"a":[ ]}`, `1234567890123456789012.50`, `-0.0`, `"<&>\/"`}[roll%5]
	return fmt.Appendf(nil, `{"type":"chaos.%d", "id":"%s","userId":"%s","n":%d,"odd":%s ,"pad":"%s"}`, roll%3, eventID(user, n), user, n, odd, pad)
}

// parseID is the way back from an event's id.
func parseID(id string) (user string, n int, ok bool) {
	user, number, ok := strings.Cut(id, "-")
	n, err := strconv.Atoi(number)
	return user, n, ok && err == nil && n > 0 && eventID(user, n) == id
}

// handler is the receiver of one destination: it notes every attempt and answers by
// the script.
func (o *oracle) handler(destination string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut on its way: the receiver has nothing
		}
		user, n, err := o.identify(destination, r.Header, body)
		if err != nil {
			o.check.Foreign(fmt.Sprintf("%s: %v", destination, err))
			return
		}
		number, _ := strconv.Atoi(r.Header.Get("Delivery-Attempt"))
		before := o.check.Attempt(destination, user, n, number)
		a := o.answer(destination, user, n, before)
		if a.spends() {
			o.check.Spend(destination, user, n)
		}
		if a.delivers() {
			o.delivered(destination, user, n, number, r.Header)
			// On a busy machine the server may have given the attempt up before
			// we came to read it.
			sent, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
			if err == nil && time.Since(time.Unix(sent, 0)) > attemptTimeout-time.Second {
				o.causes.fault("late answer", destination)
			}
		}
		a.write(w, r)
		if a.delivers() && r.Context().Err() != nil {
			o.causes.fault("late answer", destination)
		}
	})
}

// identify tells which event came, when it is one that was posted and
// everything on it is right.
func (o *oracle) identify(destination string, h http.Header, body []byte) (string, int, error) {
	id := h.Get("Event-Id")
	user, n, ok := parseID(id)
	switch {
	case !ok:
		return "", 0, fmt.Errorf("an event with the id %q", id)
	case !bytes.Equal(body, eventBody(user, n)):
		return "", 0, fmt.Errorf("event %s has other bytes than were posted: %.200q", id, body)
	case h.Get("Event-Key") != user:
		return "", 0, fmt.Errorf("event %s has the key %q", id, h.Get("Event-Key"))
	case h.Get("Delivery-Id") != id+":"+destination:
		return "", 0, fmt.Errorf("event %s has the delivery id %q", id, h.Get("Delivery-Id"))
	}
	return user, n, nil
}

func (o *oracle) answer(destination, user string, n, before int) answer {
	a := answer(o.receivers[destination].outage.Load())
	if a == ok200 && o.script != nil {
		a = o.script.answer(destination, user, n, before, o.isClosing(user, n))
	}
	o.mu.Lock()
	o.answers[a]++
	o.mu.Unlock()
	return a
}

// delivered notes a delivery that the receiver keeps.
func (o *oracle) delivered(destination, user string, n, attempt int, h http.Header) {
	now := time.Now()
	instance := h.Get("X-Instance")
	sequence, _ := strconv.ParseInt(h.Get("Event-Sequence"), 10, 64)
	first := o.check.Deliver(destination, user, n, sequence)
	o.mu.Lock()
	defer o.mu.Unlock()
	if sent := o.posted[user]; o.script != nil && n <= len(sent) {
		o.causes.delivery(arrival{destination, user, n, sequence, attempt, sent[n-1], now})
	}
	if at, ok := o.waiting[instance]; ok {
		delete(o.waiting, instance)
		o.firsts = append(o.firsts, now.Sub(at))
	}
	stream := destination + "/" + user
	if before := o.owner[stream]; before != instance {
		o.owner[stream] = instance
		if before != "" {
			o.moves++
		}
	}
	if !first {
		return
	}
	if o.watched && !o.last.IsZero() {
		o.gap = max(o.gap, now.Sub(o.last))
	}
	o.last = now
	if sent := o.posted[user]; n <= len(sent) {
		o.observe(destination, user, sent[n-1], now)
	}
}

// observe keeps the latency of those whom no fault of a receiver concerns.
func (o *oracle) observe(destination, user string, sent, now time.Time) {
	var class string
	switch {
	case o.script == nil:
		return
	case o.script.profiles[destination].healthy:
		class = "healthy destination"
		o.recent = append(o.recent, delay{now, now.Sub(sent)})
	case healthyUser(user) && !o.script.profiles[destination].down:
		class = "healthy users"
	default:
		return
	}
	o.note(class, sent, now)
}

// note keeps a latency of what was sent before the faults or between them.
func (o *oracle) note(class string, sent, now time.Time) {
	switch {
	case o.faults.IsZero() || sent.Before(o.faults):
		class += " quiet"
	case o.ended.IsZero() || sent.Before(o.ended):
		class += " faults"
	default:
		return
	}
	o.latency[class] = append(o.latency[class], now.Sub(sent))
}

// answered notes what a request for one event was answered.
func (o *oracle) answered(status int, sent time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if status == http.StatusAccepted {
		o.note("ingest", sent, time.Now())
	} else if o.ended.IsZero() {
		o.refused[status]++
	}
}

// forget drops the latencies so far.
func (o *oracle) forget() {
	o.mu.Lock()
	clear(o.latency)
	o.mu.Unlock()
}

func (o *oracle) p99(class string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return percentile(o.latency[class], .99)
}

// lately is the median latency at the healthy destination since some time; 0:
// nothing came.
func (o *oracle) lately(since time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	var took []time.Duration
	for _, s := range o.recent {
		if s.at.After(since) {
			took = append(took, s.took)
		}
	}
	o.recent = o.recent[:0]
	return percentile(took, .5)
}

// posting notes that a client begins to send the user's event number n.
func (o *oracle) posting(user string, n int) {
	o.check.Post(user, n)
	o.mu.Lock()
	o.posted[user] = append(o.posted[user], time.Now())
	o.mu.Unlock()
}

// postedAt is when the client began to send it.
func (o *oracle) postedAt(user string, n int) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.posted[user][n-1]
}

func (o *oracle) accept(user string, n int) {
	o.check.Accept(user, n)
	o.mu.Lock()
	o.accepted++
	o.mu.Unlock()
}

func (o *oracle) isClosing(user string, n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing[user] == n
}

// started says that an instance is being started: its first delivery is awaited.
func (o *oracle) started(instance string) {
	o.mu.Lock()
	o.waiting[instance] = time.Now()
	o.mu.Unlock()
}

// awaits reports whether an instance that was started has delivered nothing yet.
func (o *oracle) awaits(instance string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.waiting[instance]
	return ok
}

// watch begins or ends the time of faults.
func (o *oracle) watch(on bool) {
	o.mu.Lock()
	if on {
		o.last, o.faults = time.Now(), time.Now()
	} else {
		o.ended = time.Now()
	}
	o.watched = on
	o.mu.Unlock()
}

// count reads something that the oracle's lock guards.
func (o *oracle) count(f func() int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return f()
}

// settle waits until everything accepted has come everywhere, and judges. It is
// for tests without poison; the chaos suite has its own end.
func (o *oracle) settle(t *testing.T) checker.Verdict {
	t.Helper()
	want := o.count(func() int { return o.accepted }) * len(o.names)
	harness.WaitFor(t, 60*time.Second, "the deliveries of all that was accepted", func() bool { return o.check.Delivered() >= want })
	v := o.check.Verdict()
	for _, fault := range v.Faults() {
		t.Error(fault)
	}
	if !v.OK() {
		t.Errorf("promises broken: %+v", v)
	}
	t.Logf("%s, stored twice by a client's retry %d", v, v.StoredTwice)
	return v
}

// percentile of durations; they are sorted in place.
func percentile(all []time.Duration, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(p*float64(len(all))))]
}
