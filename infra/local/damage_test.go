package local

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"eventserver/infra"
)

func asDamage(err error) (*infra.DamageError, bool) {
	var e *infra.DamageError
	return e, errors.As(err, &e)
}

// How many places are damaged, with -short too. EVENTSERVER_DAMAGE=long is for make check;
// EVENTSERVER_DAMAGE_SEED runs one case again.
const (
	quickDamage = 5
	shortDamage = 15
	longDamage  = 600
)

// Files are flipped, cut and deleted at random. Either the start is refused, naming
// the cure, and the cure yields every record that can be read and names the others;
// or the log runs, and gives or names every record. Nothing is lost silently, no start
// is a first start, nothing panics.
func TestRandomDamage(t *testing.T) {
	t.Parallel()
	cases, seed := shortDamage, rand.Uint64()
	if testing.Short() {
		cases = quickDamage
	}
	if os.Getenv("EVENTSERVER_DAMAGE") == "long" {
		cases = longDamage
	}
	if text := os.Getenv("EVENTSERVER_DAMAGE_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		cases, seed = 1, n
	}
	var stocks []*stock
	for _, end := range []string{"close", "kill", "kill while a table is made"} {
		stocks = append(stocks, newStock(t, end))
	}
	outcomes := map[string]int{}
	for i := range uint64(cases) {
		rng := rand.New(rand.NewPCG(seed+i, 0))
		s := stocks[rng.IntN(len(stocks))]
		ok := t.Run("", func(t *testing.T) { outcomes[s.damageOnce(t, rng)]++ })
		if !ok {
			t.Errorf("EVENTSERVER_DAMAGE_SEED=%d", seed+i)
		}
	}
	t.Logf("seed %d: %v", seed, outcomes)
}

// damageOnce damages a copy and looks at what comes of it.
func (s *stock) damageOnce(t *testing.T, rng *rand.Rand) string {
	files := []string{s.pick(t, rng)}
	if more := s.pick(t, rng); rng.IntN(4) == 0 && more != files[0] {
		files = append(files, more)
	}
	dir := s.fork(t, files...)
	bytes := 0
	for _, file := range files {
		what, n := damageFile(t, rng, filepath.Join(dir, file))
		t.Logf("%s: %s", file, what)
		bytes += n
	}
	// Without its mark nobody can tell what else is gone at the end, and without the
	// second list of topics what those were called whose first is gone.
	blind := len(files) > 1 && (slices.Contains(files, markName) || slices.Contains(files, topicsName))
	before := listing(t, dir)

	// The cure works whatever it is.
	cured := filepath.Join(t.TempDir(), "cured")
	report, err := Repair(t.Context(), dir, cured)
	must(t, err)
	if after := listing(t, dir); after != before {
		t.Errorf("the repair changed the damaged directory:\n%s\n%s", before, after)
	}
	cure := s.checkCure(t, cured, report, bytes, blind)

	var mu sync.Mutex
	var told []*infra.DamageError
	cfg := Config{Dir: dir, NoSync: true, Partitions: s.partitions, Damaged: func(e *infra.DamageError) { mu.Lock(); told = append(told, e); mu.Unlock() }}
	if rng.IntN(2) == 0 {
		cfg.verify = -1 // as in a large directory: damaged tables are met while it runs
	}
	l, err := Open(cfg)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("refused, and not because of the damage: %v", err)
		}
		wantRefused(t, err, dir, "eventserver repair "+dir)
		if after := listing(t, dir); after != before && cfg.verify >= 0 {
			t.Errorf("the refusal changed the directory:\n%s\n%s", before, after)
		} else if after != before {
			cured := filepath.Join(t.TempDir(), "cured later")
			report, err := Repair(t.Context(), dir, cured)
			must(t, err)
			s.checkCure(t, cured, report, bytes, blind)
		}
		return "refused"
	}
	got := s.read(t, l)
	if len(told) < len(got.damage) {
		t.Errorf("%d places are damaged, and %d were told", len(got.damage), len(told))
	}
	lost := 0
	missing := s.missing(t, got, func(topic string, p int32, offset int64) bool {
		named := slices.ContainsFunc(got.damage, func(e *infra.DamageError) bool {
			return e.Topic == topic && e.Partition == p && offset >= e.Offsets.From && offset < e.Offsets.To
		})
		if named {
			lost++
		}
		return named
	})
	if most := bytes + 2*(32<<10); lost*100 > most {
		t.Errorf("%d records are lost, and %d bytes were spoiled: %v", lost, bytes, got.damage)
	}
	if missing > 0 && !blind {
		t.Errorf("%d records are lost silently", missing)
	}
	for topic, parts := range cure.records {
		for p, records := range parts {
			for offset := range records {
				if _, ok := got.records[topic][p][offset]; !ok && offset >= s.low[topic][p] {
					t.Errorf("%s, partition %d, offset %d is not read, and a repair finds it", topic, p, offset)
				}
			}
		}
	}
	s.checkProgress(t, l, !blind)
	s.checkGoesOn(t, l, blind)
	must(t, l.Close())
	if len(got.damage) > 0 {
		return "named"
	}
	return "whole"
}

// pick is a file, of those with data more often.
func (s *stock) pick(t *testing.T, rng *rand.Rand) string {
	t.Helper()
	files := s.files(t)
	for {
		file := files[rng.IntN(len(files))]
		if data := strings.HasSuffix(file, ".sst") || strings.HasSuffix(file, ".log") || strings.Contains(file, "MANIFEST-0"); data || rng.IntN(4) == 0 {
			return file
		}
	}
}

// damageFile does one of many things to a file, and says what, and how many bytes of
// what was stored it spoils at most.
func damageFile(t *testing.T, rng *rand.Rand, path string) (what string, spoiled int) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	used := usedBytes(text)
	if used == 0 || rng.IntN(5) == 0 {
		must(t, os.Remove(path))
		return "deleted", len(text)
	}
	at := rng.IntN(used)
	switch rng.IntN(6) {
	case 0:
		what, spoiled = fmt.Sprintf("cut to %d of %d bytes", at, used), used-at
		text = text[:at]
	case 1:
		n := 1 + rng.IntN(min(used-at, 5000))
		what, spoiled = fmt.Sprintf("%d zeros at %d of %d", n, at, used), n
		clear(text[at : at+n])
	case 2:
		n := 1 + rng.IntN(min(used-at, 5000))
		what, spoiled = fmt.Sprintf("%d bytes cut out at %d of %d", n, at, used), used // of a table all, when it has no index
		text = slices.Delete(text, at, at+n)
	default:
		bit := byte(1) << rng.IntN(8)
		what, spoiled = fmt.Sprintf("bit %d flipped at %d of %d", bit, at, used), 1
		text[at] ^= bit
	}
	must(t, os.WriteFile(path, text, 0o600))
	return what, spoiled
}

// missing counts the records that a log does not give and nobody names. What it gives
// must be what was stored.
func (s *stock) missing(t *testing.T, got *seen, named func(topic string, p int32, offset int64) bool) (missing int) {
	t.Helper()
	for topic, parts := range s.records {
		for p, values := range parts {
			for offset, want := range values {
				if int64(offset) < s.low[topic][p] {
					continue
				}
				switch value, ok := got.records[topic][p][int64(offset)]; {
				case ok && value != want:
					t.Errorf("%s, partition %d, offset %d is %.40q, stored was %.40q", topic, p, offset, value, want)
				case !ok && !named(topic, int32(p), int64(offset)):
					missing++
				}
			}
			for offset := range got.records[topic][p] {
				if offset >= int64(len(values)) {
					t.Errorf("%s, partition %d has a record at %d, behind its end", topic, p, offset)
				}
			}
		}
	}
	return missing
}

// checkCure opens what a repair has made, and returns what it gives.
func (s *stock) checkCure(t *testing.T, dir string, report *Report, spoiled int, blind bool) *seen {
	t.Helper()
	l, err := Open(Config{Dir: dir, NoSync: true, Partitions: s.partitions, Damaged: func(e *infra.DamageError) { t.Errorf("told after the repair: %v", e) }})
	must(t, err)
	got := s.read(t, l)
	lost := 0
	missing := s.missing(t, got, func(topic string, p int32, offset int64) bool {
		for _, r := range report.Topics {
			if r.Name == topic {
				named := slices.ContainsFunc(r.Lost, func(l Loss) bool { return l.Partition == p && offset >= l.Offsets.From && offset < l.Offsets.To })
				if named {
					lost++
				}
				return named
			}
		}
		return false
	})
	if uint64(missing) > report.LostRecords && !blind {
		t.Errorf("%d records are lost silently:\n%s", missing, report)
	}
	// A flip costs a block or a batch, and nothing that can be read. What stands in a
	// topic whose name is lost is there.
	gone := lost + missing
	for _, r := range report.Topics {
		if r.Unnamed && blind {
			gone -= int(r.Records)
		}
	}
	if most := spoiled + 2*(32<<10); gone*100 > most {
		t.Errorf("%d records are lost, and %d bytes were spoiled:\n%s", gone, spoiled, report)
	}
	names, err := l.Topics(t.Context())
	must(t, err)
	for _, name := range names {
		if s.records[name] == nil && !blind {
			t.Errorf("there is a topic %s:\n%s", name, report)
		}
	}
	s.checkProgress(t, l, report.Whole() && len(report.Files) == 0)
	s.checkGoesOn(t, l, blind)
	must(t, l.Close())
	if report.Whole() != (lost+missing == 0) && report.LostWrites == 0 && !report.NoMark {
		t.Errorf("%d records are lost, and the report says:\n%s", lost+missing, report)
	}
	return got
}

// checkProgress compares what groups have done; progress may be older where that was
// told, and is never newer.
func (s *stock) checkProgress(t *testing.T, l *Log, exact bool) {
	t.Helper()
	for topic, groups := range s.progress {
		kept, err := l.Kept(t.Context(), topic)
		if err != nil {
			continue // told
		}
		for group, want := range groups {
			for p, next := range want {
				got := kept[group][int32(p)]
				if got.Next == next && (next == 0 || got.Text == fmt.Sprint("text ", next)) {
					continue
				}
				if exact {
					t.Errorf("%s in %s, partition %d: next is %d %q, kept was %d", group, topic, p, got.Next, got.Text, next)
				}
			}
		}
		for group := range kept {
			if groups[group] == nil && exact {
				t.Errorf("%s has progress in %s, and was deleted", group, topic)
			}
		}
	}
}

// checkGoesOn stores a record in every partition: its offset is a new one.
func (s *stock) checkGoesOn(t *testing.T, l *Log, blind bool) {
	t.Helper()
	for topic, parts := range s.records {
		for p, values := range parts {
			r := record(topic, int32(p), "new")
			err := l.Append(t.Context(), infra.Batch{Records: []*infra.Record{r}})
			if blind && errors.Is(err, infra.ErrNoTopic) {
				continue
			}
			must(t, err)
			if r.Offset < int64(len(values)) && !blind {
				t.Errorf("%s, partition %d: offset %d is given twice, its end was %d", topic, p, r.Offset, len(values))
			}
		}
	}
}
