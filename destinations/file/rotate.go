package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const stampLayout = "20060102T150405Z"

// foreseen is how far ahead of the clock the name of an older file may be: the
// clock was set back. A name beyond it is not of ours, and would otherwise be in
// front of every later one.
const foreseen = 24 * time.Hour

// rotate renames the file and begins a new one. Nothing that stands in the
// directory under a name of an older file is written over or stops it.
func (j *journal) rotate() error {
	old, err := j.rotated()
	if err != nil {
		return err
	}
	last := ""
	if len(old) > 0 {
		last = old[len(old)-1]
	}
	name, err := j.nextName(last)
	if err != nil {
		return err
	}
	if err := os.Rename(j.cfg.Path, filepath.Join(j.dir(), name)); err != nil {
		return err
	}
	// From here on the file is another: whatever fails now, the next group
	// opens it. Close cannot lose anything, all of it is synced.
	_ = j.close()
	if err := j.open(); err != nil { // syncs the directory too
		return err
	}
	j.prune(append(old, name))
	return nil
}

// prune removes the oldest. A failure is no reason to stop delivering; the next
// rotation tries again.
func (j *journal) prune(names []string) {
	if j.cfg.Keep <= 0 || len(names) <= j.cfg.Keep {
		return
	}
	for _, name := range names[:len(names)-j.cfg.Keep] {
		_ = os.Remove(filepath.Join(j.dir(), name))
	}
	_ = syncDir(j.dir())
}

func (j *journal) nameParts() (base, ext string) {
	base = filepath.Base(j.cfg.Path)
	ext = filepath.Ext(base)
	return strings.TrimSuffix(base, ext), ext
}

// rotated lists the names of older files, oldest first: regular files, of a time
// that can be.
func (j *journal) rotated() ([]string, error) {
	entries, err := os.ReadDir(j.dir())
	if err != nil {
		return nil, err
	}
	limit := j.now().Add(foreseen)
	var names []string
	for _, e := range entries {
		if at, _, ok := j.parse(e.Name()); ok && e.Type().IsRegular() && at.Before(limit) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// parse reads the name of an older file.
func (j *journal) parse(name string) (at time.Time, counter int, ok bool) {
	base, ext := j.nameParts()
	rest, begins := strings.CutPrefix(name, base+".")
	rest, ends := strings.CutSuffix(rest, ext)
	stamp, digits, two := strings.Cut(rest, "-")
	if !begins || !ends || !two || len(digits) != len("000000") || strings.Trim(digits, "0123456789") != "" {
		return at, 0, false
	}
	at, err := time.Parse(stampLayout, stamp)
	counter, _ = strconv.Atoi(digits) // of six digits
	return at, counter, err == nil
}

// nextName sorts behind last, even if the clock was set back: prune removes by
// name. Nothing has it yet.
func (j *journal) nextName(last string) (string, error) {
	base, ext := j.nameParts()
	at, counter := j.now().UTC().Truncate(time.Second), 1
	if lastAt, n, ok := j.parse(last); ok && !lastAt.Before(at) {
		at, counter = lastAt, n+1
	}
	const tries = 100_000
	for range tries {
		if counter > 999_999 {
			at, counter = at.Add(time.Second), 1
		}
		name := fmt.Sprintf("%s.%s-%06d%s", base, at.Format(stampLayout), counter, ext)
		if _, err := os.Lstat(filepath.Join(j.dir(), name)); errors.Is(err, os.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
		counter++
	}
	return "", fmt.Errorf("%s has %d names of older files that are none; remove them", j.dir(), tries)
}

// makeDir makes dir and what is missing above it, each entry synced: a synced
// file in a directory that a power cut forgets is lost.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil: // for its owner alone, whatever the umask took away
		if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory
			return err
		}
	case !errors.Is(err, os.ErrExist):
		return err
	}
	return syncDir(parent)
}
