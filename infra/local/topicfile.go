package local

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// topicFile has a second copy of the topic names, beside Pebble, for a repair. Otherwise
// one damaged block could lose all names, and records of deleted topics in files would look
// like theirs. It is written after the changes and may be a little older: it has no topic
// with a higher number than last. It is text:
//
//	eventserver topics
//	last 2
//	1 8 false 1764417600000000000 "events"
//	2 8 true 1764417600000000000 "poison.a"
//	crc32c 1a2b3c4d
type topicFile struct {
	log  *Log
	wake chan struct{} // holds one
	end  chan struct{} // closed by stop
	done chan struct{}

	mu   sync.Mutex
	all  map[uint32]namedTopic // stored topics only
	last uint32                // the highest number that was stored
}

const topicsTitle = "eventserver topics"

// namedTopic is a topic in the file.
type namedTopic struct {
	name string
	topicMeta
}

func (f *topicFile) start(l *Log) {
	f.log = l
	f.wake, f.end, f.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(f.done)
		for {
			select {
			case <-f.wake:
				f.write()
			case <-f.end:
				select {
				case <-f.wake:
					f.write()
				default:
				}
				return
			}
		}
	}()
	f.change(l.topics.last, nil, nil)
}

// stop writes the last change.
func (f *topicFile) stop() {
	if f.end != nil {
		close(f.end)
		<-f.done
	}
}

// change is called after topics were stored or deleted.
func (f *topicFile) change(last uint32, stored []*topic, deleted map[string]*topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[uint32]namedTopic{}
	}
	f.last = max(f.last, last)
	for _, t := range stored {
		f.all[t.id] = namedTopic{t.name, topicMeta{t.id, int32(len(t.parts)), t.keep, t.created}}
	}
	for _, t := range deleted {
		delete(f.all, t.id)
	}
	select {
	case f.wake <- struct{}{}: // nil in memory
	default:
	}
}

func (f *topicFile) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return topicsText(f.last, slices.SortedFunc(maps.Values(f.all), func(a, b namedTopic) int { return cmp.Compare(a.id, b.id) }))
}

func (f *topicFile) write() {
	if err := writeSynced(f.log.dir.fs, f.log.dir.path, topicsName, []byte(f.text())); err != nil {
		f.log.cfg.Logger.Warn("broker.dir: the names of the topics cannot be written; only a repair reads them", slog.Any("error", err))
	}
}

func topicsText(last uint32, all []namedTopic) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nlast %d\n", topicsTitle, last)
	for _, t := range all {
		fmt.Fprintf(&b, "%d %d %t %d %q\n", t.id, t.partitions, t.keep, t.created, t.name)
	}
	return withChecksum(b.String())
}

// readTopics reads the file.
func readTopics(fsys vfs.FS, path string) (last uint32, all []namedTopic, err error) {
	text, err := readFile(fsys, path)
	if err != nil {
		return 0, nil, err
	}
	body, err := checked(string(text))
	if err != nil {
		return 0, nil, err
	}
	for i, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
		var t namedTopic
		switch i {
		case 0:
			if line != topicsTitle {
				return 0, nil, errFormat
			}
			continue
		case 1:
			_, err = fmt.Sscanf(line, "last %d", &last)
		default:
			_, err = fmt.Sscanf(line, "%d %d %t %d %q", &t.id, &t.partitions, &t.keep, &t.created, &t.name)
			all = append(all, t)
		}
		if err != nil {
			return 0, nil, errors.Join(errFormat, err)
		}
	}
	return last, all, nil
}
