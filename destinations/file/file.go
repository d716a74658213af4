package file

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"eventserver/destinations"
)

// ErrClosed is in the error of a Deliver after Close.
var ErrClosed = errors.New("file destination is closed")

// Limits of one group that is written and synced together. They bound memory,
// and how long the first of a group waits for the last.
const (
	groupLines = 1024
	groupBytes = 4 << 20
)

// Destination appends to one file. It is safe for many goroutines.
type Destination struct {
	id       string
	envelope bool
	// requests has no buffer: what the writer has not taken yet can still be
	// withdrawn, and is not lost when the writer ends. Go lets senders that
	// wait go in their order, so the lines of a key keep theirs.
	requests chan request
	quit     chan struct{} // closed by Close
	done     chan struct{} // closed by the writer
	closing  sync.Once
	closeErr error // set before done is closed
}

type request struct {
	lines  [][]byte
	result chan error // buffered: the writer never waits for a Deliver that left
}

// New opens the file and starts the writer, which ends with Close.
func New(id string, cfg Config) (*Destination, error) {
	cfg = cfg.withDefaults()
	return start(id, cfg, &journal{cfg: cfg, openFile: openFile, now: time.Now})
}

func start(id string, cfg Config, j *journal) (*Destination, error) {
	if id == "" {
		return nil, errors.New("id: is missing")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := j.ready(); err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	d := &Destination{
		id: id, envelope: cfg.Envelope,
		requests: make(chan request), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go d.run(j)
	return d, nil
}

// ID is the destination's name.
func (d *Destination) ID() string { return d.id }

// Transform passes the event's data on as it is.
func (d *Destination) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

// Deliver returns nil when the line is on disk. A disk that fails or is full is
// the destination's fault. After ctx ended the line may still be written.
func (d *Destination) Deliver(ctx context.Context, del destinations.Delivery) error {
	return d.DeliverBatch(ctx, []destinations.Delivery{del})
}

// DeliverBatch returns nil when all lines are on disk. Lines of other
// deliveries share the sync anyway; a batch shares the waiting too.
func (d *Destination) DeliverBatch(ctx context.Context, ds []destinations.Delivery) error {
	req := request{lines: make([][]byte, len(ds)), result: make(chan error, 1)}
	for i, del := range ds {
		line, err := makeLine(del, d.envelope)
		if err != nil {
			return destinations.Permanent(fmt.Errorf("file: %w", err))
		}
		req.lines[i] = line
	}
	select {
	case d.requests <- req:
	case <-ctx.Done():
		return ended(ctx, "waiting for the disk")
	case <-d.quit:
		return destinations.Unavailable(ErrClosed)
	}
	select {
	case err := <-req.result:
		return err
	case <-ctx.Done():
		return ended(ctx, "writing")
	}
}

// ended is the error of an attempt whose context ended. A disk that hangs does so
// for every event.
func ended(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return destinations.Unavailable(destinations.Late("file: " + what + ": the disk took longer than the attempt may"))
	}
	return fmt.Errorf("file: %s: %w", what, ctx.Err())
}

// run writes one group after the other. While one is synced the next gathers
// at the channel: the slower the disk, the larger the groups.
func (d *Destination) run(j *journal) {
	defer close(d.done)
	var group []request
	var lines [][]byte
	for {
		group, lines = group[:0], lines[:0]
		select {
		case r := <-d.requests:
			group, lines = append(group, r), append(lines, r.lines...)
		case <-d.quit:
			d.closeErr = j.close()
			return
		}
		for size := bytesOf(lines); len(lines) < groupLines && size < groupBytes; {
			select {
			case r := <-d.requests:
				group, lines = append(group, r), append(lines, r.lines...)
				size += bytesOf(r.lines)
				continue
			default:
			}
			break
		}
		stored, err := j.append(lines)
		for _, r := range group {
			if stored -= len(r.lines); stored >= 0 {
				r.result <- nil
			} else {
				r.result <- destinations.Unavailable(fmt.Errorf("file: %w", err))
			}
		}
		clear(group) // the bodies may go
		clear(lines)
	}
}

func bytesOf(lines [][]byte) (n int) {
	for _, l := range lines {
		n += len(l)
	}
	return n
}

// Close waits until the lines that the writer has taken are on disk, and ends
// it. Later calls wait too and return the same.
func (d *Destination) Close() error {
	d.closing.Do(func() { close(d.quit) })
	<-d.done
	return d.closeErr
}
