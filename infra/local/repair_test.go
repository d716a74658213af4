package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/infra"
)

func TestRepairOfWhatIsWhole(t *testing.T) {
	t.Parallel()
	s := newStock(t, "kill")
	to := filepath.Join(t.TempDir(), "new")
	report, err := Repair(t.Context(), s.dir, to)
	must(t, err)
	if !report.Whole() || len(report.Files) > 0 {
		t.Errorf("of a whole directory: %s", report)
	}
	s.checkCure(t, to, report, 0, false)
	text, err := os.ReadFile(filepath.Join(to, reportName))
	must(t, err)
	if !strings.Contains(string(text), "nothing is lost") {
		t.Errorf("the report it keeps is %s", text)
	}
}

func TestRepairRefuses(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	l := open(t, Config{Dir: dir}, "a")
	to := filepath.Join(t.TempDir(), "new")
	_, err := Repair(t.Context(), dir, to)
	if !errors.Is(err, ErrLocked) {
		t.Errorf("of a directory in use: %v", err)
	}
	must(t, l.Close())
	must(t, os.WriteFile(filepath.Join(other, "x"), nil, 0o600))
	_, err = Repair(t.Context(), dir, other)
	wantRefused(t, err, other, "not empty")
	_, err = Repair(t.Context(), dir, filepath.Join(dir, "new"))
	wantRefused(t, err, "is within "+dir)
	_, err = Repair(t.Context(), filepath.Join(dir, "none"), to)
	wantRefused(t, err, "none")
	_, err = Repair(t.Context(), other, to) // nothing of ours
	wantRefused(t, err, other, "no log")

	must(t, os.RemoveAll(to))
	d, _, err := newDirectory(to)
	must(t, err)
	must(t, d.close())
	_, err = Open(Config{Dir: to})
	wantRefused(t, err, to, "did not end", "delete it")
}

// A cursor that begins in a hole, and one that meets it.
func TestHolesArePassedOver(t *testing.T) {
	t.Parallel()
	l := open(t, Config{Dir: t.TempDir(), Partitions: 1, Damaged: func(e *infra.DamageError) { t.Error(e) }}, "a")
	put(t, l, "a", 0, names(0, 20)...)
	id := (*l.topics.byName.Load())["a"].id
	for _, hole := range []infra.Span{{From: 0, To: 2}, {From: 5, To: 9}, {From: 9, To: 10}, {From: 18, To: 20}} {
		r := newRequest()
		r.durable = true
		r.encode = func(g *group) error {
			return errors.Join(
				g.batch.DeleteRange(appendRecordKey(nil, id, 0, hole.From), appendRecordKey(nil, id, 0, hole.To), nil),
				g.batch.Set(appendRecordKey(nil, id, 0, hole.From), encodeHole(0, hole.To), nil))
		}
		must(t, l.do(t.Context(), r))
	}
	var want []string
	for i, v := range names(0, 20) {
		if i >= 2 && i < 5 || i >= 10 && i < 18 {
			want = append(want, v)
		}
	}
	for from := range int64(21) {
		var rest []string
		for i, v := range names(0, 20) {
			if int64(i) >= from && (i >= 2 && i < 5 || i >= 10 && i < 18) {
				rest = append(rest, v)
			}
		}
		if got := values(readAll(t, l, "a", 0, from)); strings.Join(got, " ") != strings.Join(rest, " ") {
			t.Errorf("from %d: %v, want %v", from, got, rest)
		}
	}
	put(t, l, "a", 0, "20")
	must(t, l.Close())
	l = open(t, l.cfg)
	if got := values(readAll(t, l, "a", 0, 0)); strings.Join(got, " ") != strings.Join(append(want, "20"), " ") {
		t.Errorf("reopened: %v", got)
	}
}
