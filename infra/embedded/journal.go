package embedded

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"eventserver/infra/kafka"
)

// journal keeps what groups have done a hundred times a second, in a file that
// is written and not synced: it outlives a kill of the process, after which
// nothing that is in it comes again. A crash of the machine may lose its end,
// and then the cluster's own commits count, which are synced and for that
// reason rarer: to sync one costs what storing an event costs.
type journal struct {
	path string
	most int64 // bytes; above it the file is written afresh
	log  *slog.Logger

	mu      sync.Mutex
	f       *os.File
	size    int64
	buf     []byte
	latest  map[position]kafka.Commit
	failing bool // told so
}

type position struct {
	group, topic string
	partition    int32
}

// journalBytes bounds the file: some ten thousand commits.
const journalBytes = 4 << 20

// openJournal returns the journal and what the last run left in it. It is empty
// after clear.
func openJournal(path string, log *slog.Logger) (*journal, []kafka.Commit, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	left, err := readJournal(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return &journal{path: path, most: journalBytes, log: log, f: f, latest: map[position]kafka.Commit{}}, left, nil
}

// readJournal returns the latest commit of each partition. A line that cannot
// be read does not count: it was being written when the machine stopped. Each
// line is true by itself.
func readJournal(path string) ([]kafka.Commit, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	latest := map[position]kafka.Commit{}
	lines := bufio.NewScanner(f)
	const longest = 16 << 10 // a commit's metadata has 4 KiB at most
	lines.Buffer(nil, longest)
	for lines.Scan() {
		c, ok := readLine(lines.Bytes())
		if !ok {
			continue
		}
		latest[position{c.Group, c.Topic, c.Partition}] = c
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, err
	}
	commits := make([]kafka.Commit, 0, len(latest))
	for _, c := range latest {
		commits = append(commits, c)
	}
	return commits, nil
}

// A line is a checksum and a commit in JSON. A flipped digit of an offset would
// otherwise skip events.
func appendLine(buf []byte, c kafka.Commit) ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return buf, err
	}
	return append(append(fmt.Appendf(buf, "%08x ", crc32.ChecksumIEEE(text)), text...), '\n'), nil
}

func readLine(line []byte) (c kafka.Commit, ok bool) {
	sum, text, _ := bytes.Cut(line, []byte(" "))
	if string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) {
		return c, false
	}
	return c, json.Unmarshal(text, &c) == nil
}

// clear empties the file: the cluster has what was in it.
func (j *journal) clear() error {
	j.size = 0
	return j.f.Truncate(0)
}

// note writes a commit. What cannot be written costs duplicates after a kill,
// nothing else.
func (j *journal) note(c kafka.Commit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return
	}
	j.latest[position{c.Group, c.Topic, c.Partition}] = c
	err := j.append(c)
	if err == nil && j.size > j.most {
		err = j.rewrite()
	}
	if err != nil && !j.failing {
		j.log.Warn("commits cannot be journalled: a kill repeats more than it would", slog.Any("error", err))
	}
	j.failing = err != nil
}

func (j *journal) append(c kafka.Commit) error {
	var err error
	if j.buf, err = appendLine(j.buf[:0], c); err != nil {
		return err
	}
	n, err := j.f.Write(j.buf)
	if err != nil && n > 0 { // a part of a line: the next one must not follow on it
		err = errors.Join(err, j.f.Truncate(j.size))
		return err
	}
	j.size += int64(n)
	return err
}

// rewrite leaves the latest commit of each partition in the file.
func (j *journal) rewrite() error {
	next := j.path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	old, size := j.f, j.size
	j.f, j.size = f, 0
	for _, c := range j.latest {
		if err := j.append(c); err != nil {
			j.f, j.size = old, size
			return errors.Join(err, f.Close())
		}
	}
	if err := os.Rename(next, j.path); err != nil {
		j.f, j.size = old, size
		return errors.Join(err, f.Close())
	}
	return old.Close()
}

// finish empties the journal: every group has committed to the cluster. A copy
// of the records that is put beside it later must not be taken for done.
func (j *journal) finish() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	return j.clear()
}

// sync is for a commit that goes back: the ones before it must not outlive it.
func (j *journal) sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	return j.f.Sync()
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	f := j.f
	j.f = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("broker.dir: %w", err)
	}
	return nil
}

// forget takes the commits of groups out.
func (j *journal) forget(group func(string) bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	for at := range j.latest {
		if group(at.group) {
			delete(j.latest, at)
		}
	}
	return j.rewrite()
}
