package file

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // of synctest's clock
	t.Cleanup(cancel)
	return ctx
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// clocked is a journal with a clock of the test's, driven without a writer.
func clocked(t *testing.T, cfg Config, now *time.Time) *journal {
	t.Helper()
	j := &journal{cfg: cfg.withDefaults(), openFile: openFile, now: func() time.Time { return *now }}
	if err := j.ready(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.close() })
	return j
}

func put(t *testing.T, j *journal, lines ...string) {
	t.Helper()
	var b [][]byte
	for _, l := range lines {
		b = append(b, []byte(l+"\n"))
	}
	if n, err := j.append(b); err != nil || n != len(b) {
		t.Fatalf("%d of %d lines: %v", n, len(b), err)
	}
}

func TestRotationBySize(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	j := clocked(t, Config{Path: filepath.Join(dir, "e.jsonl"), MaxBytes: 6}, &now)
	put(t, j, "11", "22", "33", "too long for the limit", "44") // one group over several files
	now = now.Add(-time.Hour)                                   // a clock set back does not mix up the order
	put(t, j, "55", "66")
	want := []string{
		"e.20260102T030405Z-000001.jsonl", "e.20260102T030405Z-000002.jsonl", "e.20260102T030405Z-000003.jsonl",
		"e.20260102T030405Z-000004.jsonl", "e.jsonl",
	}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
	var all []string
	for _, name := range want {
		all = append(all, content(t, filepath.Join(dir, name)))
	}
	if got := strings.Join(all, "|"); got != "11\n22\n|33\n|too long for the limit\n|44\n55\n|66\n" {
		t.Errorf("%q", got)
	}
}

func TestRotationByAgeAndKeep(t *testing.T) {
	dir := t.TempDir()
	for _, other := range []string{"e.backup.jsonl", "other.20200101T000000Z-000001.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	j := clocked(t, Config{Path: filepath.Join(dir, "e.jsonl"), MaxAge: time.Hour, Keep: 2}, &now)
	now = now.Add(24 * time.Hour) // an empty file does not age
	for range 5 {
		put(t, j, "1")
		now = now.Add(59 * time.Minute)
		put(t, j, "2")
		now = now.Add(time.Minute)
	}
	want := []string{
		"e.20260103T060405Z-000001.jsonl", "e.20260103T070405Z-000001.jsonl", "e.backup.jsonl", "e.jsonl", "other.20200101T000000Z-000001.jsonl",
	}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestFailedRotationLosesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "e.jsonl")
	now := time.Now()
	j := clocked(t, Config{Path: path, MaxBytes: 3}, &now)
	put(t, j, "11")
	real := j.openFile
	j.openFile = func(string) (file, error) { return nil, os.ErrPermission }
	if n, err := j.append([][]byte{[]byte("22\n")}); n != 0 || err == nil {
		t.Fatalf("%d, %v", n, err)
	}
	j.openFile = real
	put(t, j, "22")
	if got := content(t, path); got != "22\n" {
		t.Errorf("%q", got)
	}
	if n := len(names(t, dir)); n != 2 {
		t.Errorf("%d files", n)
	}
}
