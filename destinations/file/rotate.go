package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const stampLayout = "20060102T150405Z"

// rotate renames the file and begins a new one.
func (j *journal) rotate() error {
	old, err := j.rotated()
	if err != nil {
		return err
	}
	name, err := j.nextName(old)
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

// rotated lists the names of older files, oldest first.
func (j *journal) rotated() ([]string, error) {
	base, ext := j.nameParts()
	re, err := regexp.Compile(`^` + regexp.QuoteMeta(base) + `\.\d{8}T\d{6}Z-\d{6}` + regexp.QuoteMeta(ext) + `$`)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(j.dir())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if re.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// nextName sorts behind all of old, even if the clock was set back: prune
// removes by name.
func (j *journal) nextName(old []string) (string, error) {
	base, ext := j.nameParts()
	stamp, counter := j.now().UTC().Format(stampLayout), 1
	if len(old) > 0 {
		last := strings.TrimSuffix(strings.TrimPrefix(old[len(old)-1], base+"."), ext)
		lastStamp, lastCounter, _ := strings.Cut(last, "-")
		if lastStamp >= stamp {
			stamp = lastStamp
			if _, err := fmt.Sscanf(lastCounter, "%06d", &counter); err != nil {
				return "", err
			}
			counter++
		}
	}
	if counter > 999_999 {
		return "", errors.New("a million rotations in one second, or a clock set back: move the older files away")
	}
	return fmt.Sprintf("%s.%s-%06d%s", base, stamp, counter, ext), nil
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
	if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(parent)
}
