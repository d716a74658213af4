package local

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"eventserver/infra"
)

// stock is what was accepted, and what a directory must therefore hold.
type stock struct {
	dir        string
	partitions int32
	records    map[string][][]string // values by topic, partition and offset
	low        map[string][]int64    // what was trimmed
	progress   map[string]map[string][]int64
}

const damageGroup = "group.a"

func (s *stock) add(t testing.TB, l *Log, rng *rand.Rand, topic string, n int) {
	t.Helper()
	var rs []*infra.Record
	for range n {
		p := rng.Int32N(s.partitions)
		value := fmt.Sprintf("%s/%d/%d ", topic, p, len(s.records[topic][p]))
		for range rng.IntN(40) {
			value += fmt.Sprintf("%x ", rng.Uint32()) // no two blocks are alike
		}
		s.records[topic][p] = append(s.records[topic][p], value)
		rs = append(rs, record(topic, p, value))
	}
	must(t, l.Append(t.Context(), infra.Batch{Records: rs}))
}

// keep sets a group's progress in every partition to a share of what is there.
func (s *stock) keep(t testing.TB, l *Log, topic string, share float64) {
	t.Helper()
	b := infra.Batch{}
	for p := range s.partitions {
		next := int64(share * float64(len(s.records[topic][p])))
		s.progress[topic][damageGroup][p] = next
		b.Progress = append(b.Progress, infra.Progressed{Group: damageGroup, Topic: topic, Partition: p, Position: infra.Position{Next: next, Text: fmt.Sprint("text ", next)}})
	}
	must(t, l.Append(t.Context(), b))
}

func (s *stock) trim(t testing.TB, l *Log, topic string, share float64) {
	t.Helper()
	below := map[int32]int64{}
	for p := range s.partitions {
		below[p] = int64(share * float64(len(s.records[topic][p])))
		s.low[topic][p] = below[p]
	}
	must(t, l.Trim(t.Context(), topic, below))
}

// stallFS does not make tables while it is stalled, so that more than one
// write-ahead log is needed.
type stallFS struct {
	vfs.FS
	stalled atomic.Pointer[chan struct{}]
}

func (s *stallFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if wait := s.stalled.Load(); wait != nil && strings.HasSuffix(name, ".sst") {
		<-*wait
	}
	return s.FS.Create(name, c)
}

// newStock makes a directory with records in tables of several levels and in
// write-ahead logs, with trims, progress that was set back, and deleted topics and
// groups. end is how it ends: "close", "kill", or "kill while a table is made".
func newStock(t testing.TB, end string) *stock {
	t.Helper()
	s := &stock{partitions: 3, records: map[string][][]string{}, low: map[string][]int64{}, progress: map[string]map[string][]int64{}}
	topics := []string{"events", "dest.a", "poison.a"}
	for _, topic := range topics {
		s.records[topic] = make([][]string, s.partitions)
		s.low[topic] = make([]int64, s.partitions)
		s.progress[topic] = map[string][]int64{damageGroup: make([]int64, s.partitions)}
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(end))))
	dir := filepath.Join(t.TempDir(), "data")
	disk := &stallFS{FS: privateFS{vfs.Default}}
	l, err := Open(Config{Dir: dir, Partitions: s.partitions, fs: disk})
	must(t, err)
	ctx := t.Context()
	must(t, l.CreateTopics(ctx, infra.Topic{Name: "events"}, infra.Topic{Name: "old"}))
	must(t, l.CreateTopics(ctx, infra.Topic{Name: "dest.a"}, infra.Topic{Name: "poison.a", Keep: true}))
	fill := func(n int) {
		for range n {
			for i, topic := range topics {
				s.add(t, l, rng, topic, 5-2*i)
			}
		}
	}
	old := func() {
		for range 10 {
			put(t, l, "old", 0, "of a topic that is deleted")
		}
	}
	must(t, l.Append(ctx, infra.Batch{Progress: []infra.Progressed{{Group: "group.gone", Topic: "events", Position: infra.Position{Next: 1}}}}))
	fill(40)
	old()
	s.keep(t, l, "events", 0.9)
	must(t, l.db.Flush())
	must(t, l.db.Compact(ctx, []byte{0}, []byte{0xff}, false)) // Pebble drops its numbers here
	fill(20)
	s.trim(t, l, "events", 0.3)
	s.keep(t, l, "events", 0.5) // set back
	s.keep(t, l, "dest.a", 0.4)
	must(t, l.db.Flush())
	old()
	must(t, l.DeleteTopics(ctx, "old"))
	must(t, l.DeleteGroups(ctx, "group.gone"))
	fill(20)
	must(t, l.db.Flush())
	s.keep(t, l, "events", 0.6)
	fill(20)
	must(t, l.db.Flush())
	fill(10)
	release := make(chan struct{})
	if end == "kill while a table is made" {
		disk.stalled.Store(&release)
		_, err := l.db.AsyncFlush()
		must(t, err)
		fill(3)
		s.trim(t, l, "dest.a", 0.1)
	}
	fill(3)
	s.keep(t, l, "dest.a", 0.5) // waits for the disk with all before it
	if end == "close" {
		must(t, l.Close())
	}
	s.dir = copyOf(t, dir)
	close(release)
	must(t, l.Close())
	if end != "close" && len(logFiles(t, s.dir, "", ".log")) == 0 || len(logFiles(t, s.dir, "", ".sst")) == 0 {
		t.Fatalf("not much to damage in %s:\n%s", s.dir, listing(t, s.dir))
	}
	return s
}

// fork is a copy of the directory that shares its files, of which only those that
// are written in place are copied.
func (s *stock) fork(t testing.TB, own ...string) string {
	t.Helper()
	to, err := os.MkdirTemp(t.TempDir(), "")
	must(t, err)
	must(t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(s.dir, path)
		target := filepath.Join(to, rel)
		switch {
		case err != nil || relErr != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !slices.Contains(own, rel) && rel != markName:
			return os.Link(path, target)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	}))
	return to
}

// files are those of the directory, below it.
func (s *stock) files(t testing.TB) (files []string) {
	t.Helper()
	must(t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, err := filepath.Rel(s.dir, path)
			files = append(files, rel)
			return err
		}
		return err
	}))
	return files
}

// seen is what a log gives of a stock.
type seen struct {
	records map[string][]map[int64]string
	damage  []*infra.DamageError
}

// readStock reads every partition to its end.
func (s *stock) read(t testing.TB, l *Log) *seen {
	t.Helper()
	all := &seen{records: map[string][]map[int64]string{}}
	for topic := range s.records {
		for p := range s.partitions {
			got := map[int64]string{}
			all.records[topic] = append(all.records[topic], got)
			c, err := l.Open(t.Context(), topic, p, 0)
			if err != nil {
				continue // the topic is lost
			}
			for {
				rs, err := c.Read(t.Context(), 4<<10)
				if e, ok := asDamage(err); ok {
					all.damage = append(all.damage, e)
					continue
				}
				must(t, err)
				if len(rs) == 0 {
					break
				}
				for _, r := range rs {
					got[r.Offset] = string(r.Value)
				}
			}
			c.Close()
		}
	}
	return all
}
