package brokertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// LogOptions describes the logs under test.
type LogOptions struct {
	Partitions int // of each topic; at least 2
	// Reopen closes l and returns a log on the same data. Nil: nothing survives.
	Reopen func(t *testing.T, l infra.Log) infra.Log
	// Refuse makes l refuse, permanently, the next records of a partition of topic. Nil:
	// not possible, or batches are stored whole.
	Refuse func(t *testing.T, l infra.Log, topic string, partition int32)
	// Timeout bounds each wait for something that must happen; default 30 s.
	Timeout time.Duration
}

// RunLog tests the logs that open returns. Each test has its own empty log, which open
// closes when the test ends. A log also needs Run, which tests subscribers through
// infra/pubsub.
func RunLog(t *testing.T, open func(t *testing.T) infra.Log, opts LogOptions) {
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	for _, test := range []struct {
		name string
		run  func(*logEnv)
	}{
		{"Limits", (*logEnv).limits},
		{"Topics", (*logEnv).topics},
		{"TopicsAgain", (*logEnv).topicsAgain},
		{"AppendAndRead", (*logEnv).appendAndRead},
		{"AppendOrder", (*logEnv).appendOrder},
		{"AppendUnknownTopic", (*logEnv).appendUnknown},
		{"AppendRefused", (*logEnv).appendRefused},
		{"AppendProgress", (*logEnv).appendProgress},
		{"Cursor", (*logEnv).cursor},
		{"CursorFollows", (*logEnv).cursorFollows},
		{"BoundsSince", (*logEnv).boundsSince},
		{"Trim", (*logEnv).trim},
		{"TrimUnderACursor", (*logEnv).trimUnderCursor},
		{"Keep", (*logEnv).keep},
		{"Claims", (*logEnv).claims},
		{"ClaimsMove", (*logEnv).claimsMove},
		{"ClaimsHeld", (*logEnv).claimsHeld},
		{"ClaimsOfTwoGroups", (*logEnv).claimsOfTwo},
		{"Look", (*logEnv).look},
		{"Reset", (*logEnv).reset},
		{"DeleteGroups", (*logEnv).deleteGroups},
		{"EndedContext", (*logEnv).endedContext},
		{"Close", (*logEnv).closes},
		{"Reopen", (*logEnv).reopen},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := &logEnv{T: t, opts: opts, log: open(t)}
			require.NoError(t, e.log.CreateTopics(t.Context(), infra.Topic{Name: topic}))
			test.run(e)
		})
	}
}

// logEnv is one test with its log.
type logEnv struct {
	*testing.T
	opts LogOptions
	log  infra.Log
}

func (e *logEnv) eventually(what string, ok func() bool) {
	e.Helper()
	require.Eventually(e, ok, e.opts.Timeout, time.Millisecond, what)
}

// within asserts that call returns in time.
func (e *logEnv) within(what string, call func()) {
	e.Helper()
	done := make(chan struct{})
	go func() { defer close(done); call() }()
	select {
	case <-done:
	case <-time.After(e.opts.Timeout):
		require.FailNow(e, what+" did not return in time")
	}
}

func record(partition int32, value string) *infra.Record {
	return &infra.Record{Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(value)}
}

// append stores records in one batch.
func (e *logEnv) append(recs ...*infra.Record) {
	e.Helper()
	require.NoError(e, e.log.Append(e.Context(), infra.Batch{Records: recs}))
}

// fill stores count records in a partition, numbered from first.
func (e *logEnv) fill(partition int32, first, count int) {
	e.Helper()
	var recs []*infra.Record
	for i := range count {
		recs = append(recs, record(partition, fmt.Sprint(first+i)))
	}
	e.append(recs...)
}

func (e *logEnv) bounds(partition int32) infra.Bounds {
	e.Helper()
	all, err := e.log.Bounds(e.Context(), topic, time.Time{})
	require.NoError(e, err)
	require.Len(e, all, e.opts.Partitions)
	return all[partition]
}

func (e *logEnv) open(partition int32, from int64) infra.Cursor {
	e.Helper()
	c, err := e.log.Open(e.Context(), topic, partition, from)
	require.NoError(e, err)
	e.Cleanup(c.Close)
	return c
}

// rest reads a cursor until it has no more records.
func (e *logEnv) rest(c infra.Cursor) (out []*infra.Record) {
	e.Helper()
	for {
		recs, err := c.Read(e.Context(), 1<<20)
		require.NoError(e, err)
		if len(recs) == 0 {
			return out
		}
		out = append(out, recs...)
	}
}

func values(recs []*infra.Record) []string {
	out := []string{}
	for _, r := range recs {
		out = append(out, string(r.Value))
	}
	return out
}

// kept is the log's position of a group in a partition, or the zero value.
func (e *logEnv) kept(group string, partition int32) infra.Position {
	e.Helper()
	all, err := e.log.Kept(context.Background(), topic)
	require.NoError(e, err)
	return all[group][partition]
}

// owner is one member, which holds its claims until it is told to release them.
type owner struct {
	e      *logEnv
	member infra.Membership
	given  chan infra.Claim

	mu  sync.Mutex
	has map[int32]infra.Claim
}

// join makes a member of group, whose claims end when they are asked back.
func (e *logEnv) join(group string) *owner {
	e.Helper()
	o := &owner{e: e, given: make(chan infra.Claim, 1000), has: map[int32]infra.Claim{}}
	var err error
	o.member, err = e.log.Join(e.Context(), group, topic, o.own)
	require.NoError(e, err)
	e.Cleanup(func() { _ = o.member.Close() })
	return o
}

func (o *owner) own(c infra.Claim) {
	o.mu.Lock()
	assert.NotContains(o.e, o.has, c.Partition, "given twice at a time")
	assert.Equal(o.e, topic, c.Topic)
	o.has[c.Partition] = c
	o.mu.Unlock()
	o.given <- c
	<-c.Context.Done()
	o.mu.Lock()
	delete(o.has, c.Partition)
	o.mu.Unlock()
}

func (o *owner) partitions() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.has)
}

// all waits until the member has every partition, and returns its claims.
func (o *owner) all() map[int32]infra.Claim {
	o.e.Helper()
	out := map[int32]infra.Claim{}
	for len(out) < o.e.opts.Partitions {
		select {
		case c := <-o.given:
			out[c.Partition] = c
		case <-time.After(o.e.opts.Timeout):
			require.FailNow(o.e, "not all partitions in time", "%d", len(out))
		}
	}
	return out
}

func (o *owner) close() {
	o.e.Helper()
	o.e.within("Membership.Close", func() { assert.NoError(o.e, o.member.Close()) })
	assert.Zero(o.e, o.partitions(), "own has returned")
}
