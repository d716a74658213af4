package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/record"
)

// uuidOf is a UUIDv7 of a time.
func uuidOf(t time.Time) string {
	u := uuid.Must(uuid.NewV7())
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	return u.String()
}

func ulidOf(t time.Time) string {
	return ulid.MustNew(ulid.Timestamp(t), ulid.DefaultEntropy()).String()
}

func TestTimeOf(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for id, want := range map[string]time.Time{
		ulidOf(now): now, strings.ToLower(ulidOf(now)): now, uuidOf(now): now, ulidOf(now.Add(30 * time.Minute)): now.Add(30 * time.Minute),
		ulidOf(now.Add(2 * time.Hour)): {}, "7ZZZZZZZZZ0000000000000000": {}, uuidOf(now.AddDate(8000, 0, 0)): {},
		"": {}, "order-17": {}, uuid.NewString(): {}, "20261127181500000000000042x": {},
	} {
		if got := timeOf(id, now); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
	if at := timeOf("00000000000000000000000000", now); at.Year() != 1970 {
		t.Error(at)
	}
}

// The time in an id is what a client wrote, or what digits happen to look like. The
// search took it for a bound: an event with a wrong one was not found, with its key
// neither, and its poison record was left out.
func TestFindsWhateverTheIDSays(t *testing.T) {
	d := &receiver{id: "d", answers: func(d destinations.Delivery) error {
		if d.Key == "bad" {
			return destinations.Permanent(errors.New("answer 400"))
		}
		return nil
	}}
	r := newRig(t, router.Destination{Destination: d})
	now := time.Now()
	var ids []string
	for _, off := range []time.Duration{0, time.Minute, -time.Minute, 59 * time.Minute, 2 * time.Hour, -2 * time.Hour, 48 * time.Hour, -48 * time.Hour, -30 * 365 * 24 * time.Hour, 74 * 365 * 24 * time.Hour} {
		ids = append(ids, ulidOf(now.Add(off)), uuidOf(now.Add(off)))
	}
	ids = append(ids, "20261127181500000000000042", "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "ffffffff-ffff-7fff-bfff-ffffffffffff", "order-17", uuid.NewString())
	for i, id := range ids {
		r.store(id, []string{"good", "bad"}[i%2], "t")
	}
	for i, id := range ids {
		key, want := []string{"good", "bad"}[i%2], []string{StateDelivered, StatePoisoned}[i%2]
		r.await(id, want)
		for _, q := range []Question{{}, {Key: key}, {Since: now.Add(-time.Minute)}, {Key: key, Since: now.Add(-time.Minute)}, {Key: "somebody else"}} {
			q.ID = id
			out, err := r.explain.Explain(t.Context(), q)
			require.NoError(t, err, "%+v", q)
			require.Len(t, out.Accepted, 1, "%+v", q)
			assert.Equal(t, want, out.Destinations[0].State, "%+v: %s", q, out.Destinations[0].Why)
			_, err = json.Marshal(out)
			require.NoError(t, err, "%+v", q)
		}
	}
}

// trimmed is a broker that has deleted all events.
type trimmed struct{ infra.Reader }

func (b trimmed) Bounds(ctx context.Context, topic string, since time.Time) (map[int32]infra.Bounds, error) {
	out, err := b.Reader.Bounds(ctx, topic, since)
	if topic == record.EventsTopic {
		for p, at := range out {
			out[p] = infra.Bounds{Oldest: at.End, At: at.End, End: at.End}
		}
	}
	return out, err
}

// Of an event whose record is deleted the other topics know. Where they were read
// from the time in the id on, an id from a clock that is ahead hid the poison record.
func TestFindsWhatIsLeftWhateverTheIDSays(t *testing.T) {
	d := &receiver{id: "d", answers: func(destinations.Delivery) error { return destinations.Permanent(errors.New("answer 400")) }}
	r := newRig(t, router.Destination{Destination: d})
	now := time.Now()
	for _, off := range []time.Duration{0, 90 * time.Minute, -90 * time.Minute, 48 * time.Hour, -48 * time.Hour, 74 * 365 * 24 * time.Hour} {
		id := ulidOf(now.Add(off))
		r.store(id, "u", "t")
		r.await(id, StatePoisoned)
		real := r.explain.cfg.Reader
		r.explain.cfg.Reader = trimmed{real}
		r.await(id, StatePoisoned)
		_, err := r.explain.Explain(t.Context(), Question{ID: ulidOf(now.Add(off))})
		r.explain.cfg.Reader = real
		require.ErrorIs(t, err, ErrNotFound)
		assert.ErrorContains(t, err, "there is no record in the topic of events; check the id; older records are deleted")
	}
}

// A client that sends again what it has no answer for gives the same id, and the time
// in it is that of the first. The answer is about the last.
func TestTheLastOfTwoAcceptances(t *testing.T) {
	r := newRig(t, router.Destination{Destination: &receiver{id: "d"}})
	id := ulidOf(time.Now().Add(-40 * 24 * time.Hour))
	r.store(id, "u", "t")
	r.await(id, StateDelivered)
	// The first one is found, the second one told by what it became.
	c := &inquiry{x: r.explain, q: Question{ID: id}, out: &Explanation{}, origins: map[origin]struct{}{{key: "u", sequence: 0}: {}}}
	require.NoError(t, c.retrace(t.Context()))
	require.Len(t, c.found, 1)
	c.origins = map[origin]struct{}{{key: "u", sequence: 0}: {}}
	require.NoError(t, c.retrace(t.Context()))
	require.Len(t, c.found, 1, "it is known already")
	r.store(id, "u", "t")
	c.origins = map[origin]struct{}{{key: "u", sequence: 0}: {}, {key: "u", sequence: 1}: {}}
	require.NoError(t, c.retrace(t.Context()))
	require.Len(t, c.found, 2)
	assert.EqualValues(t, 1, c.found[1].Offset)
}

// What was read is said as it was.
func TestNotFoundSaysWhatWasRead(t *testing.T) {
	r := newRig(t, router.Destination{Destination: &receiver{id: "d"}})
	miss := func(q Question) string {
		t.Helper()
		_, err := r.explain.Explain(t.Context(), q)
		require.ErrorIs(t, err, ErrNotFound)
		return err.Error()
	}
	assert.Contains(t, miss(Question{ID: ulidOf(time.Now())}), "there is no record in the topic of events; check the id")
	r.store("1", "u", "t")
	assert.Contains(t, miss(Question{ID: "2"}), "the only record in the topic of events is of another event; check the id")
	r.store("1", "u", "t")
	assert.Contains(t, miss(Question{ID: ulidOf(time.Now()), Key: "u"}), "all 2 records in the topic of events were read; check the id and the key")
	later := time.Now().Add(time.Minute).Truncate(time.Second)
	text := miss(Question{ID: "2", Since: later})
	assert.Contains(t, text, "there is no record in the topic of events stored since "+clock(later))
	assert.Contains(t, text, "give an earlier --since")
	r.explain.cfg.MaxRecords = 1
	assert.Contains(t, miss(Question{ID: "2"}), "the search ended early: 1 record")
}

// counting is a reader that counts what it hands out.
type counting struct {
	infra.Reader
	n *atomic.Int64
}

func (b counting) Scan(ctx context.Context, topic string, ranges map[int32]infra.Range, f func(m *message.Message, at time.Time) error) error {
	return b.Reader.Scan(ctx, topic, ranges, func(m *message.Message, at time.Time) error { b.n.Add(1); return f(m, at) })
}

// unreadable is a reader that finds a topic empty, and its records damaged.
type unreadable struct {
	infra.Reader
	topic string
}

func (u unreadable) Scan(ctx context.Context, topic string, ranges map[int32]infra.Range, f func(m *message.Message, at time.Time) error) error {
	if topic == u.topic {
		return &infra.DamageError{Topic: topic, Err: errors.New("checksum mismatch")}
	}
	return u.Reader.Scan(ctx, topic, ranges, f)
}

// Of an event whose record for the destination was damaged it was said that it had been
// passed over when it was transformed.
func TestDamagedRecordOfADestination(t *testing.T) {
	r := newRig(t, router.Destination{Destination: &receiver{id: "d"}})
	r.store("e1", "u", "t")
	r.await("e1", StateDelivered)
	x, err := New(Config{Reader: unreadable{r.broker, record.DestinationTopic("d")}, Groups: r.broker, Destinations: r.pipeline.Configured})
	require.NoError(t, err)
	out, err := x.Explain(t.Context(), Question{ID: "e1"})
	require.NoError(t, err)
	require.Len(t, out.Destinations, 1)
	assert.Contains(t, out.Destinations[0].Why, "or its record in topic dest.d is one of those that cannot be read; as the destination is configured now, it would be sent")
	assert.Contains(t, fmt.Sprint(out.Notes), "checksum mismatch")
}

// Without a time in the id the newest records are read first.
func TestNewestFirst(t *testing.T) {
	r := newRig(t)
	for i := range 3*firstLook + 10 {
		r.store(fmt.Sprint("e", i), "u", "t")
	}
	for id, most := range map[string]int64{fmt.Sprint("e", 3*firstLook): firstLook, "e0": 3*firstLook + 10} {
		var n atomic.Int64
		x, err := New(Config{Reader: counting{r.broker, &n}, Groups: r.broker, Destinations: func() []router.Destination { return nil }})
		require.NoError(t, err)
		out, err := x.Explain(t.Context(), Question{ID: id})
		require.NoError(t, err)
		require.Len(t, out.Accepted, 1)
		assert.Equal(t, most, n.Load(), "%s: no record is read twice, and none that need not be", id)
	}
}

// Whatever is looked at in whatever order, each record is read once.
func TestSearchReadsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const end = 40
		var read []infra.Range
		var seen, want [end]int
		for range rapid.IntRange(1, 8).Draw(t, "looks") {
			from := rapid.Int64Range(0, end).Draw(t, "from")
			look := infra.Range{From: from, To: rapid.Int64Range(from, end).Draw(t, "to")}
			for i := look.From; i < look.To; i++ {
				want[i] = 1
			}
			for r, ok := lastOutside(look, read); ok; r, ok = lastOutside(look, read) {
				for i := r.From; i < r.To; i++ {
					seen[i]++
				}
				read = join(read, r)
			}
		}
		if seen != want {
			t.Fatalf("read %v, want %v", seen, want)
		}
	})
}
