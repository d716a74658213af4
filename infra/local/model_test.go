package local

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"eventserver/infra"
)

// modelTopic is what a topic must hold.
type modelTopic struct {
	low, next map[int32]int64
	records   map[int32]map[int64]string
	kept      map[string]map[int32]infra.Position
}

const modelParts = 3

func newModelTopic() *modelTopic {
	m := &modelTopic{low: map[int32]int64{}, next: map[int32]int64{}, records: map[int32]map[int64]string{}, kept: map[string]map[int32]infra.Position{}}
	for p := range int32(modelParts) {
		m.records[p] = map[int64]string{}
	}
	return m
}

func (m *modelTopic) keep(p infra.Progressed) {
	if m.kept[p.Group] == nil {
		m.kept[p.Group] = map[int32]infra.Position{}
	}
	m.kept[p.Group][p.Partition] = p.Position
}

// modelReader is a cursor and where it must be.
type modelReader struct {
	infra.Cursor
	topic string
	part  int32
	next  int64
}

// model is a log beside what it must be.
type model struct {
	*rapid.T
	cfg     Config
	log     *Log
	topics  map[string]*modelTopic
	readers []*modelReader
	counter int
}

func (m *model) topic() string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.topics))).Draw(m.T, "topic")
}

func (m *model) part() int32 { return rapid.Int32Range(0, modelParts-1).Draw(m.T, "partition") }

func (m *model) group() string { return rapid.SampledFrom([]string{"g", "gg", "h"}).Draw(m.T, "group") }

func (m *model) value() string {
	m.counter++
	return fmt.Sprint(m.counter)
}

func (m *model) progress(topic string) infra.Progressed {
	return infra.Progressed{Group: m.group(), Topic: topic, Partition: m.part(), Position: infra.Position{
		Next: rapid.Int64Range(0, 100).Draw(m.T, "next"), Text: m.value(),
	}}
}

// TestModel compares a log with a model of it: whatever is called in whatever order,
// and however often it is closed and opened, both hold the same.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Partitions: modelParts, Dir: "data", fs: vfs.NewMem()}
		if rapid.Bool().Draw(t, "memory") {
			cfg = Config{Partitions: modelParts}
		}
		m := &model{T: t, cfg: cfg, topics: map[string]*modelTopic{}}
		m.open()
		defer func() { _ = m.log.Close() }()
		m.create("a")
		t.Repeat(map[string]func(*rapid.T){
			"append":      m.append,
			"append more": m.append,
			"keep":        func(*rapid.T) { m.keep() },
			"trim":        func(*rapid.T) { m.trim() },
			"topic":       func(*rapid.T) { m.change() },
			"reset":       func(*rapid.T) { m.reset() },
			"delete":      func(*rapid.T) { m.deleteGroup() },
			"reader":      func(*rapid.T) { m.reader() },
			"read":        func(*rapid.T) { m.read() },
			"reopen":      func(*rapid.T) { m.reopen() },
			"":            func(*rapid.T) { m.check() },
		})
	})
}

func (m *model) open() {
	var err error
	m.log, err = Open(m.cfg)
	require.NoError(m, err)
}

func (m *model) create(name string) {
	require.NoError(m, m.log.CreateTopics(m.Context(), infra.Topic{Name: name}))
	if m.topics[name] == nil {
		m.topics[name] = newModelTopic()
	}
}

func (m *model) append(*rapid.T) {
	b := infra.Batch{Durability: infra.Durability(rapid.IntRange(0, 1).Draw(m.T, "durability"))}
	for range rapid.IntRange(0, 5).Draw(m.T, "records") {
		b.Records = append(b.Records, record(m.topic(), m.part(), m.value()))
	}
	for range rapid.IntRange(0, 2).Draw(m.T, "progress") {
		b.Progress = append(b.Progress, m.progress(m.topic()))
	}
	require.NoError(m, m.log.Append(m.Context(), b))
	for _, r := range b.Records {
		t := m.topics[r.Topic]
		require.Equal(m, t.next[r.Partition], r.Offset)
		t.records[r.Partition][r.Offset] = string(r.Value)
		t.next[r.Partition]++
	}
	for _, p := range b.Progress {
		m.topics[p.Topic].keep(p)
	}
}

func (m *model) keep() {
	p := []infra.Progressed{m.progress(m.topic()), m.progress(m.topic())}
	require.NoError(m, m.log.Keep(m.Context(), p...))
	m.topics[p[0].Topic].keep(p[0])
	m.topics[p[1].Topic].keep(p[1])
}

func (m *model) trim() {
	name := m.topic()
	t := m.topics[name]
	below := map[int32]int64{m.part(): rapid.Int64Range(0, 30).Draw(m.T, "below")}
	require.NoError(m, m.log.Trim(m.Context(), name, below))
	for p, at := range below {
		t.low[p] = max(t.low[p], min(at, t.next[p]))
		maps.DeleteFunc(t.records[p], func(o int64, _ string) bool { return o < t.low[p] })
	}
}

func (m *model) change() {
	name := rapid.SampledFrom([]string{"b", "c"}).Draw(m.T, "name")
	if m.topics[name] == nil {
		m.create(name)
		return
	}
	require.NoError(m, m.log.DeleteTopics(m.Context(), name))
	delete(m.topics, name)
	m.readers = slices.DeleteFunc(m.readers, func(r *modelReader) bool {
		if r.topic != name {
			return false
		}
		_, err := r.Read(m.Context(), 1)
		require.ErrorIs(m, err, infra.ErrNoTopic)
		r.Close()
		return true
	})
}

func (m *model) reset() {
	name, group, p := m.topic(), m.group(), m.part()
	t := m.topics[name]
	to := rapid.Int64Range(t.low[p], t.next[p]).Draw(m.T, "to")
	require.NoError(m, m.log.Reset(m.Context(), group, name, map[int32]int64{p: to}))
	t.keep(infra.Progressed{Group: group, Partition: p, Position: infra.Position{Next: to}})
}

func (m *model) deleteGroup() {
	group := m.group()
	require.NoError(m, m.log.DeleteGroups(m.Context(), group))
	for _, t := range m.topics {
		delete(t.kept, group)
	}
}

func (m *model) reader() {
	name, p := m.topic(), m.part()
	from := rapid.Int64Range(0, m.topics[name].next[p]).Draw(m.T, "from")
	c, err := m.log.Open(m.Context(), name, p, from)
	require.NoError(m, err)
	m.readers = append(m.readers, &modelReader{c, name, p, from})
}

func (m *model) read() {
	for _, r := range m.readers {
		t := m.topics[r.topic]
		r.next = max(r.next, t.low[r.part])
		got, err := r.Read(m.Context(), rapid.IntRange(1, 20).Draw(m.T, "bytes"))
		require.NoError(m, err)
		require.Equal(m, r.next < t.next[r.part], len(got) > 0)
		for _, rec := range got {
			m.same(t, r.part, r.next, rec)
			r.next++
		}
	}
}

func (m *model) same(t *modelTopic, p int32, offset int64, rec *infra.Record) {
	require.Equal(m, offset, rec.Offset)
	require.Equal(m, p, rec.Partition)
	require.Equal(m, t.records[p][offset], string(rec.Value))
	require.Equal(m, t.records[p][offset], string(rec.Headers[0].Value))
}

func (m *model) reopen() {
	if m.cfg.Dir == "" {
		m.Skip("nothing survives")
	}
	require.NoError(m, m.log.Close())
	for _, r := range m.readers {
		_, err := r.Read(m.Context(), 1)
		require.ErrorIs(m, err, ErrClosed)
		r.Close()
	}
	m.readers = nil
	m.open()
}

func (m *model) check() {
	names, err := m.log.Topics(m.Context())
	require.NoError(m, err)
	require.Equal(m, slices.Sorted(maps.Keys(m.topics)), names)
	for name, t := range m.topics {
		bounds, err := m.log.Bounds(m.Context(), name, time.Time{})
		require.NoError(m, err)
		for p := range int32(modelParts) {
			require.Equal(m, infra.Bounds{Oldest: t.low[p], At: t.low[p], End: t.next[p]}, bounds[p])
			next := t.low[p]
			var last time.Time
			c, err := m.log.Open(m.Context(), name, p, 0)
			require.NoError(m, err)
			for {
				rs, err := c.Read(m.Context(), 1<<20)
				require.NoError(m, err)
				if len(rs) == 0 {
					break
				}
				for _, rec := range rs {
					m.same(t, p, next, rec)
					require.False(m, rec.Time.Before(last), "time goes back")
					last = rec.Time
					next++
				}
			}
			c.Close()
			require.Equal(m, t.next[p], next)
		}
		kept, err := m.log.Kept(m.Context(), name)
		require.NoError(m, err)
		require.Equal(m, t.kept, kept)
	}
}
