package byhand

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	groupMost  = 512                   // requests in a commit
	keepEvery  = 10 * time.Millisecond // what is done is written
	clearEvery = time.Second           // events that are done everywhere are deleted
)

// disk is the events and what is done of them, in Pebble:
// e OFFSET: an event; d URL: the first event that the destination has not done.
type disk struct {
	db   *pebble.DB
	to   []*destination
	log  *log
	next int64 // offset of the next event

	in      chan *request
	quit    chan struct{}
	ended   sync.WaitGroup
	cleared time.Time
}

// request is events that are to be stored.
type request struct {
	events []*event
	stored chan error
}

func eventKey(offset int64) []byte { return binary.BigEndian.AppendUint64([]byte{'e'}, uint64(offset)) }
func doneKey(url string) []byte    { return append([]byte{'d'}, url...) }

// openDisk hands out what was stored and not done.
func openDisk(dir string, to []*destination) (_ *disk, err error) {
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20, Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	d := &disk{db: db, to: to, in: make(chan *request, groupMost), quit: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	kept := make([]int64, len(to))
	for i, t := range to {
		v, closer, err := db.Get(doneKey(t.url))
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		kept[i] = int64(binary.BigEndian.Uint64(v))
		d.next = max(d.next, kept[i])
		if err := closer.Close(); err != nil {
			return nil, err
		}
	}
	d.log = newLog(kept...)
	if err := d.resume(kept); err != nil {
		return nil, err
	}
	d.ended.Go(d.commits)
	d.ended.Go(d.keeps)
	return d, nil
}

// resume hands out what is stored.
func (d *disk) resume(kept []int64) (err error) {
	stored, err := d.db.NewIter(&pebble.IterOptions{LowerBound: eventKey(d.log.least()), UpperBound: []byte{'f'}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stored.Close()) }()
	for stored.First(); stored.Valid(); stored.Next() {
		offset := int64(binary.BigEndian.Uint64(stored.Key()[1:]))
		events, err := decode(append([]byte(nil), stored.Value()...))
		if err != nil {
			return fmt.Errorf("event %d: %w", offset, err)
		}
		d.number(events[0], offset)
		for i, t := range d.to {
			if offset >= kept[i] {
				t.add(events[0])
			}
		}
		d.next = max(d.next, offset+1)
	}
	return stored.Error()
}

func (d *disk) number(e *event, offset int64) {
	e.offset, e.log, e.id = offset, d.log, strconv.FormatInt(offset, 10)
}

var errStopped = errors.New("the program stops")

func (d *disk) append(_ context.Context, events []*event) error {
	r := &request{events: events, stored: make(chan error, 1)}
	select {
	case d.in <- r:
		return <-r.stored
	case <-d.quit:
		return errStopped
	}
}

// commits stores all requests that wait in one batch with one sync, hands them out in
// the order in which they are stored, and answers.
func (d *disk) commits() {
	var group []*request
	for {
		group = group[:0]
		select {
		case r := <-d.in:
			group = append(group, r)
		case <-d.quit:
			return
		}
		for more := true; more && len(group) < groupMost; {
			select {
			case r := <-d.in:
				group = append(group, r)
			default:
				more = false
			}
		}
		err := d.commit(group)
		for _, r := range group {
			r.stored <- err
		}
	}
}

func (d *disk) commit(group []*request) error {
	b := d.db.NewBatch()
	for _, r := range group {
		for _, e := range r.events {
			d.number(e, d.next)
			d.next++
			if err := b.Set(eventKey(e.offset), e.body, nil); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(b.Commit(pebble.Sync), b.Close()); err != nil {
		return err
	}
	for _, r := range group {
		for _, e := range r.events {
			for _, t := range d.to {
				t.add(e)
			}
		}
	}
	return nil
}

// keeps writes what is done.
func (d *disk) keeps() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = d.keep(pebble.NoSync) // what is not kept is done again
		case <-d.quit:
			return
		}
	}
}

func (d *disk) keep(o *pebble.WriteOptions) error {
	b := d.db.NewBatch()
	for i, t := range d.to {
		if now := d.log.windows[i].kept(); now != d.log.kept[i] {
			d.log.kept[i] = now
			if err := b.Set(doneKey(t.url), binary.BigEndian.AppendUint64(nil, uint64(now)), nil); err != nil {
				return err
			}
		}
	}
	if !b.Empty() && time.Since(d.cleared) > clearEvery {
		d.cleared = time.Now()
		least := d.log.kept[0]
		for _, k := range d.log.kept {
			least = min(least, k)
		}
		if err := b.DeleteRange(eventKey(0), eventKey(least), nil); err != nil {
			return err
		}
	}
	if b.Empty() {
		return b.Close()
	}
	return errors.Join(b.Commit(o), b.Close())
}

// stop takes nothing in any more.
func (d *disk) stop() { close(d.quit) }

func (d *disk) close() error {
	d.ended.Wait()
	return errors.Join(d.keep(pebble.Sync), d.db.Close())
}

// quiet is a Pebble log without information.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
