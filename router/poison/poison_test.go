package poison

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router/record"
)

type fields = Filter

func TestListCountsAndFilters(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	assert.Empty(t, w.waiting(s))
	w.put(item{id: "a1", key: "ada"}, item{id: "a2", key: "ada", reason: "schema", stage: "transform", typ: "user.new"},
		item{id: "b1", key: "bob", reason: "permanent"}, item{id: "b2", key: "bob", reason: "undecodable", stage: "transform", typ: "order.paid"})
	raw := message.NewMessage("", []byte{0xff})
	raw.Metadata[infra.MetaKey] = ""
	require.NoError(t, w.broker.Publisher(infra.Durable).Publish("poison.d", raw)) // another program's

	for name, c := range map[string]struct {
		f    fields
		want []string
	}{
		"all":      {fields{}, []string{"", "a1", "a2", "b1", "b2"}},
		"class":    {fields{Class: "receiver"}, []string{"a1", "b1"}},
		"pipeline": {fields{Class: "pipeline", Key: "ada"}, []string{"a2"}},
		"reason":   {fields{Reason: "undecodable"}, []string{"b2"}},
		"type":     {fields{Type: "order.*"}, []string{"a1", "b1", "b2"}},
		"id":       {fields{EventID: "b1"}, []string{"b1"}},
		"since":    {fields{Since: "1h"}, []string{"", "a1", "a2", "b1", "b2"}},
		"until":    {fields{Until: "1h"}, nil},
		"future":   {fields{Since: time.Now().Add(time.Hour).Format(time.RFC3339)}, nil},
	} {
		page, err := s.List(t.Context(), Query{Filter: c.f})
		require.NoError(t, err, name)
		var got []string
		for _, it := range page.Items {
			got = append(got, it.EventID)
		}
		assert.ElementsMatch(t, c.want, got, name)
		counts, err := s.Counts(t.Context(), c.f)
		require.NoError(t, err, name)
		assert.Equal(t, len(c.want), counts.Count, name)
	}

	// Pages come to the same, whatever their size.
	var got []string
	q := Query{Limit: 2}
	for range 4 {
		page, err := s.List(t.Context(), q)
		require.NoError(t, err)
		for _, it := range page.Items {
			got = append(got, it.EventID)
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	assert.Equal(t, w.waiting(s), got)

	page, err := s.List(t.Context(), Query{Filter: fields{EventID: "a2"}})
	require.NoError(t, err)
	it := page.Items[0]
	assert.Equal(t, "d ada user.new transform pipeline schema why a2 3", fmt.Sprint(it.Destination, " ", it.Key, " ", it.Type, " ", it.Stage, " ", it.Class, " ", it.Reason, " ", it.Detail, " ", it.Attempts))
	assert.False(t, it.First.IsZero() || it.Last.IsZero() || it.ReceivedAt.IsZero() || it.PoisonedAt.IsZero())
	byPosition, err := s.List(t.Context(), Query{Filter: fields{Destination: "d", Position: it.Position}})
	require.NoError(t, err)
	assert.Equal(t, page, byPosition)

	counts, err := s.Counts(t.Context(), fields{})
	require.NoError(t, err)
	text, _ := json.Marshal(counts.Destinations[0].Reasons)
	assert.JSONEq(t, `[{"reason_class":"pipeline","reason":"","count":1},{"reason_class":"receiver","reason":"attempts","count":1},{"reason_class":"receiver","reason":"permanent","count":1},
		{"reason_class":"pipeline","reason":"schema","count":1},{"reason_class":"pipeline","reason":"undecodable","count":1}]`, string(text))
}

func TestWhatCannotBeMeant(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	for want, f := range map[string]fields{
		`there is no destination "x" and no poison queue of that name; the configuration has d`:                  {Destination: "x"},
		`reason_class: "x" is not pipeline or receiver`:                                                          {Class: "x"},
		`reason: "x" is not one of undecodable, transform, filter, schema, permanent, attempts, age`:             {Reason: "x"},
		`reason: age is of class receiver, and reason_class says pipeline; leave one of them out`:                {Class: "pipeline", Reason: "age"},
		`type: "a*" is not a pattern; write a whole type, a prefix with .* behind it, or *`:                      {Type: "a*"},
		`position: "7" is no position; write partition:offset, such as 3:17`:                                     {Destination: "d", Position: "7"},
		`position: say in whose poison queue, with a destination`:                                                {Position: "1:7"},
		`since: "yesterday" is neither a time such as 2026-01-02T15:04:05Z nor how long ago, such as 90m or 24h`: {Since: "yesterday"},
		`since, until: 2026-01-02T00:00:00Z is not before 2026-01-01T00:00:00Z`:                                  {Since: "2026-01-02T00:00:00Z", Until: "2026-01-01T00:00:00Z"},
	} {
		_, err := s.List(t.Context(), Query{Filter: f})
		assert.EqualError(t, err, want)
	}
	_, err := s.List(t.Context(), Query{After: "d"})
	assert.EqualError(t, err, `after: "d" is not the next of a page`)
	for _, q := range []Query{{After: "x/0:1"}, {After: "x/0:1", Filter: fields{Destination: "d"}}} { // an empty page, as if that were all
		_, err = s.List(t.Context(), q)
		assert.EqualError(t, err, `after: "x/0:1" is of a destination that is not asked for, or not configured any more; begin again without after`)
	}
	for _, rate := range []float64{-1, math.NaN(), math.Inf(1)} { // no number is no limit
		_, err = s.Begin(t.Context(), Order{Action: "redrive", All: true, Rate: &rate}, "ann")
		assert.EqualError(t, err, "rate, max_redrives, limit and wait: 0 or more, and a number")
	}
	_, err = s.Show(t.Context(), "d", "e9", false)
	assert.EqualError(t, err, `the poison queue of d has no event "e9" and nothing at that position`)
	_, err = s.Begin(t.Context(), Order{Action: "redrive"}, "ann")
	assert.EqualError(t, err, "redrive: say which items by a destination or another filter, or ask for all")
	_, err = s.Begin(t.Context(), Order{Action: "redrive", Filter: fields{Destination: "x"}}, "ann")
	assert.EqualError(t, err, `there is no destination "x" to redrive to; the configuration has d`)
	_, err = s.Run(t.Context(), "r", 0)
	assert.ErrorContains(t, err, `this server has no run "r"`)
}

// Everything that the delivery had goes on: the receiver sees the same event.
func TestRedriveDeliveries(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	w.put(item{id: "a1", key: "ada", sequence: 5, body: "no JSON \xff"}, item{id: "b1", key: "bob", sequence: 6}, item{id: "a2", key: "ada", sequence: 9, redrives: 1})

	dry := redrive(t, s, Order{DryRun: true})
	assert.Equal(t, 3, dry.Redriven)
	assert.Len(t, dry.First, 3)
	assert.Empty(t, w.all("dest.d"))
	assert.Len(t, w.waiting(s), 3)

	run := redrive(t, s, Order{})
	assert.Equal(t, "3 3 0 0", fmt.Sprint(run.Matched, " ", run.Redriven, " ", run.Failed, " ", run.Refused))
	assert.Empty(t, w.waiting(s))
	assert.Equal(t, map[string][]string{"ada": {"a1", "a2"}, "bob": {"b1"}}, w.redriven())
	for _, m := range w.all("dest.d") {
		d, err := record.DecodeDelivery("d", m)
		require.NoError(t, err)
		r, ok := record.DecodeRedrive(m)
		require.True(t, ok)
		assert.Equal(t, run.ID, r.Run)
		switch d.EventID {
		case "a1":
			assert.Equal(t, "no JSON \xff", string(d.Payload.Body))
			assert.Equal(t, int64(5), d.Sequence)
			assert.Equal(t, "a1:d", d.ID)
			assert.Equal(t, 1, d.Redrives)
			assert.Equal(t, "secret-context", d.Metadata["traceparent"])
		case "a2":
			assert.Equal(t, 2, d.Redrives)
		}
	}
	again := redrive(t, s, Order{})
	assert.Zero(t, again.Matched)
	assert.Equal(t, map[string]int{"redriven": 3}, w.marks)

	found, err := s.Show(t.Context(), "d", "a1", false)
	require.NoError(t, err)
	require.Len(t, found.Records, 1)
	rec := found.Records[0]
	assert.Equal(t, "redriven ann "+run.ID, rec.Settled.Mark+" "+rec.Settled.By+" "+rec.Settled.Run)
	assert.Nil(t, rec.Data)
	assert.Nil(t, rec.DataBase64)
	assert.NotContains(t, fmt.Sprint(rec.Headers), "secret-context")
	assert.Equal(t, "a1", rec.Headers["ce_id"])
	found, err = s.Show(t.Context(), "d", rec.Position, true)
	require.NoError(t, err)
	assert.Equal(t, "no JSON \xff", string(found.Records[0].DataBase64))
	assert.Contains(t, fmt.Sprint(found.Records[0].Headers), "secret-context")
}

// The event of a key that was accepted first goes first, although the queue has
// it last: it was given up after retries, the other in its transformation.
func TestRedriveInTheOrderOfEvents(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	w.put(item{id: "a5", key: "ada", sequence: 5, stage: "transform", reason: "transform"}, item{id: "b1", key: "bob", sequence: 1},
		item{id: "a3", key: "ada", sequence: 3}, item{id: "a4", key: "ada", sequence: 4}, item{id: "b2", key: "bob", sequence: 2})
	redrive(t, s, Order{})
	assert.Equal(t, map[string][]string{"ada": {"a3", "a4", "a5"}, "bob": {"b1", "b2"}}, w.redriven())
}

func TestRedriveTransformsAgain(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	bad := func(id, key string) item { return item{id: id, key: key, stage: "transform", reason: "transform"} }
	w.put(bad("a1", "ada"), bad("a2", "ada"), bad("b1", "bob"), bad("c1", "cy"), item{id: "b2", key: "bob"}, item{id: "c2", key: "cy"})
	w.again = func(m *message.Message) error {
		switch m.Metadata["ce_id"] {
		case "b1":
			return fmt.Errorf("still broken")
		case "c1":
			return destinations.ErrSkip
		}
		return nil
	}
	run := redrive(t, s, Order{})
	assert.Equal(t, "redriven 3 skipped 1 failed 1 behind 1", fmt.Sprintf("redriven %d skipped %d failed %d behind %d", run.Redriven, run.Skipped, run.Failed, run.Behind))
	assert.Equal(t, map[string][]string{"ada": {"a1", "a2"}, "cy": {"c2"}}, w.redriven())
	assert.Equal(t, []string{"b1", "b2"}, w.waiting(s), "bob's later event does not overtake")
	require.Len(t, run.Problems, 2)
	assert.Equal(t, "transform again: still broken", run.Problems[0].Why)
	assert.Contains(t, run.Problems[1].Why, "an earlier item of its key stays")
	found, err := s.Show(t.Context(), "d", "c1", false)
	require.NoError(t, err)
	assert.Equal(t, "skipped", found.Records[0].Settled.Mark)

	// By its id it goes all the same, and when all is mended the rest does.
	assert.Equal(t, 1, redrive(t, s, Order{Filter: fields{EventID: "b2"}}).Redriven)
	w.again = nil
	assert.Equal(t, 1, redrive(t, s, Order{}).Redriven)
	assert.Empty(t, w.waiting(s))
}

func TestLoopGuard(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	w.put(item{id: "a1", key: "ada", redrives: 3}, item{id: "a2", key: "ada"}, item{id: "b1", key: "bob", redrives: 2})
	run := redrive(t, s, Order{})
	assert.Equal(t, "1 1 1", fmt.Sprint(run.Redriven, " ", run.Refused, " ", run.Behind))
	assert.Contains(t, run.Problems[0].Why, "it was redriven 3 times already")
	assert.Equal(t, []string{"a1", "a2"}, w.waiting(s))
	none := 0
	assert.Equal(t, 1, redrive(t, s, Order{Filter: fields{EventID: "a2"}, MaxRedrives: &none}).Refused)
	assert.Equal(t, 2, redrive(t, s, Order{Force: true}).Redriven)
	assert.Equal(t, map[string][]string{"ada": {"a1", "a2"}, "bob": {"b1"}}, w.redriven())
}

// Items that were about to be sent stayed, too, when a later one of their key was
// refused or failed again: nothing of that user could be redriven any more.
func TestWhatStaysHoldsBackOnlyWhatFollows(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	w.put(item{id: "a1", key: "ada", sequence: 1}, item{id: "a2", key: "ada", sequence: 2, redrives: 3}, item{id: "a3", key: "ada", sequence: 3},
		item{id: "b1", key: "bob", sequence: 1}, item{id: "b2", key: "bob", sequence: 2, stage: "transform", reason: "transform"})
	w.again = func(*message.Message) error { return fmt.Errorf("still broken") }
	dry := redrive(t, s, Order{DryRun: true})
	run := redrive(t, s, Order{})
	for _, r := range []Run{dry, run} {
		assert.Equal(t, "2 1 1 1", fmt.Sprint(r.Redriven, " ", r.Refused, " ", r.Failed, " ", r.Behind))
	}
	assert.Equal(t, map[string][]string{"ada": {"a1"}, "bob": {"b1"}}, w.redriven())
	assert.ElementsMatch(t, []string{"a2", "a3", "b2"}, w.waiting(s))
}

func TestDiscardAndLimit(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	for n := range 10 {
		w.put(item{id: fmt.Sprint("e", n), key: "ada", sequence: n})
	}
	run, err := do(s, Order{Action: actionDiscard, Limit: 4})
	require.NoError(t, err)
	assert.Equal(t, "4 0", fmt.Sprint(run.Discarded, " ", run.Redriven))
	assert.Len(t, w.waiting(s), 6)
	assert.Equal(t, 3, redrive(t, s, Order{Limit: 3}).Redriven)
	assert.Equal(t, map[string][]string{"ada": {"e4", "e5", "e6"}}, w.redriven())
	assert.Equal(t, []string{"e7", "e8", "e9"}, w.waiting(s))
}

func TestOneRunAtATime(t *testing.T) {
	w := newWorld(t)
	w.put(item{id: "a1", key: "ada"})
	one, two := w.service(nil), w.service(nil)
	defer func() { _, _ = one.Close(), two.Close() }()
	l, err := one.acquire(t.Context(), "d", "first", actionRedrive, "ann")
	require.NoError(t, err)
	for _, s := range []*Service{one, two} {
		_, err = do(s, Order{Action: actionRedrive})
		assert.ErrorContains(t, err, "redrive first of d by ann is under way since ")
		_, err = do(s, Order{Action: actionDiscard})
		assert.ErrorContains(t, err, "its last sign of life was 0s ago; wait for its end (one that was killed gives way after 30s)")
	}
	w.pass(29 * time.Second)
	require.NoError(t, l.hold(t.Context())) // a beat
	w.pass(29 * time.Second)
	_, err = do(two, Order{Action: actionRedrive})
	assert.ErrorContains(t, err, "29s ago")
	w.pass(time.Second)
	assert.Equal(t, 1, redrive(t, two, Order{}).Redriven, "it gives way")
	assert.ErrorIs(t, l.hold(t.Context()), errLost)
}

// Leases are what the log says: two that begin in the same moment agree on who
// was first.
func TestLeasesGoByTheLog(t *testing.T) {
	at := time.Now()
	rec := func(phase, run string, s int) leaseRecord {
		return leaseRecord{Phase: phase, Run: run, At: at.Add(time.Duration(s) * time.Second)}
	}
	var l leases
	for n, c := range []struct {
		r      leaseRecord
		holder string
		killed int
	}{
		{rec(phaseStart, "a", 0), "a", 0},
		{rec(phaseStart, "b", 0), "a", 0},
		{rec(phaseEnd, "b", 1), "a", 0},
		{rec(phaseBeat, "a", 10), "a", 0},
		{rec(phaseStart, "c", 39), "a", 0},
		{rec(phaseStart, "d", 40), "d", 1},
		{rec(phaseStart, "e", 40), "d", 1},
		{rec(phaseBeat, "a", 41), "d", 1},
		{rec(phaseStart, "f", 70), "f", 2},
		{rec(phaseEnd, "a", 71), "f", 1},
		{rec(phaseEnd, "d", 71), "f", 0},
		{rec(phaseEnd, "f", 72), "", 0},
		{rec(phaseBeat, "f", 73), "", 0},
		{rec(phaseStart, "g", 74), "g", 0},
	} {
		l.apply(c.r)
		holder := ""
		if l.holder != nil {
			holder = l.holder.Run
		}
		assert.Equal(t, fmt.Sprint(c.holder, c.killed), fmt.Sprint(holder, len(l.killed)), "after record %d", n)
	}
}

// What a killed run sent may be deleted before the next one looks it up.
func TestWhatIsInDoubtNeedsAgain(t *testing.T) {
	w := newWorld(t)
	w.put(item{id: "a1", key: "ada"}, item{id: "a2", key: "ada"})
	k := &killer{pub: w.broker.Publisher(infra.Durable), share: 1, only: "dest.", left: 1}
	s := w.service(k)
	_, err := do(s, Order{Action: actionRedrive})
	assert.ErrorContains(t, err, "the next run looks up what it has, and can begin in 30s")
	require.NoError(t, s.Close())
	w.pass(time.Minute)
	w.broker = trimmed{w.broker}
	s = w.service(nil)
	defer func() { _ = s.Close() }()
	for range 2 {
		_, err = do(s, Order{Action: actionRedrive})
		require.ErrorContains(t, err, "by ann was killed about ")
		assert.Len(t, w.waiting(s), 2)
	}
	assert.Equal(t, 2, redrive(t, s, Order{Again: true}).Redriven)
	assert.Zero(t, redrive(t, s, Order{}).Matched)
}

// trimmed has lost all of the destination's topic.
type trimmed struct{ infra.Broker }

func (b trimmed) Bounds(ctx context.Context, topic string, since time.Time) (map[int32]infra.Bounds, error) {
	bounds, err := b.Broker.Bounds(ctx, topic, since)
	if topic == "dest.d" {
		for p, at := range bounds {
			bounds[p] = infra.Bounds{Oldest: at.End, At: at.End, End: at.End}
		}
	}
	return bounds, err
}

func (b trimmed) Scan(ctx context.Context, topic string, ranges map[int32]infra.Range, f func(*message.Message, time.Time) error) error {
	return b.Broker.Scan(ctx, topic, ranges, f)
}

func (b trimmed) Place(ctx context.Context, topic, key string) (int32, error) {
	return b.Broker.Place(ctx, topic, key)
}

// What is too large for the broker stays, and its key's later items with it.
func TestTooLarge(t *testing.T) {
	w := newWorld(t)
	w.put(item{id: "a1", key: "ada", body: strings.Repeat("x", 1000)}, item{id: "b1", key: "bob"}, item{id: "a2", key: "ada"})
	s := w.service(small{w.broker.Publisher(infra.Durable)})
	defer func() { _ = s.Close() }()
	run := redrive(t, s, Order{})
	assert.Equal(t, "1 1 1", fmt.Sprint(run.Redriven, " ", run.Failed, " ", run.Behind))
	assert.ElementsMatch(t, []string{"a1", "a2"}, w.waiting(s))
}

type small struct{ message.Publisher }

func (s small) Publish(topic string, msgs ...*message.Message) error {
	for _, m := range msgs {
		if len(m.Payload) > 500 {
			return infra.ErrTooLarge
		}
	}
	return s.Publisher.Publish(topic, msgs...)
}

func TestStopBetweenSteps(t *testing.T) {
	w := newWorld(t)
	for n := range 50 {
		w.put(item{id: fmt.Sprint("e", n), key: "ada", sequence: n})
	}
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	slow := 4.0
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the caller has gone: the run goes on
	run, err := s.Begin(ctx, Order{Action: actionRedrive, All: true, Rate: &slow}, "ann")
	require.NoError(t, err)
	assert.Equal(t, stateRunning, run.State)
	run, err = s.Stop(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, stateStopped, run.State)
	assert.Len(t, w.redriven()["ada"], run.Redriven)
	rest := redrive(t, s, Order{})
	assert.Equal(t, 50, rest.Redriven+run.Redriven)
	assert.Len(t, w.redriven()["ada"], 50)
}

// A queue that was deleted and has grown beyond the old one's end looked like the
// old one with more in it: its first items counted as settled.
func TestAQueueMadeAnew(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	defer func() { _ = s.Close() }()
	w.put(item{id: "old", key: "ada"})
	_, err := do(s, Order{Action: actionDiscard})
	require.NoError(t, err)
	assert.Empty(t, w.waiting(s))
	topic := record.PoisonTopic("d")
	require.NoError(t, w.broker.DeleteTopics(t.Context(), topic))
	s.Drop("d")
	require.NoError(t, w.broker.EnsureTopics(t.Context(), record.Topics("d")...))
	var want []string
	for n := range 12 {
		id := fmt.Sprint("new", n)
		want = append(want, id)
		w.put(item{id: id, key: "ada", sequence: n})
	}
	assert.Equal(t, want, w.waiting(s))
}
