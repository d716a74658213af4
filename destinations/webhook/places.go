package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// places bounds the connections of all webhooks of the process, so that receivers
// cannot take the descriptors that the broker and the listeners need. A destination may
// have as many as are free: of n that want all they can get, each ends at one part in
// n+1, and one whose receiver hangs leaves places for the others.
type places struct {
	total int64
	files uint64 // the process's limit, for the error's text

	used atomic.Int64
}

// Of the process's descriptors half, and no more than so many, are not for receivers.
const otherFiles = 4096

// noFileLimit stands for none: so many sockets an address has for one receiver.
const noFileLimit = 60_000

// everybody's are the places of the process.
var everybody = sync.OnceValue(func() *places {
	files := fileLimit()
	return &places{total: int64(files - min(files/2, otherFiles)), files: files}
})

// dialer counts the connections of one destination.
type dialer struct {
	net.Dialer
	places *places
	held   atomic.Int64
}

var errNoPlace = errors.New("the process is short of open files")

// DialContext is that of net.Dialer, when there is a place.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !d.take() {
		return nil, fmt.Errorf("%w: it has %d connections to receivers, and %d files may be open (ulimit -n); give it more, or destinations less concurrency",
			errNoPlace, d.places.used.Load(), d.places.files)
	}
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		d.give()
		return nil, err
	}
	return &placed{Conn: conn, dialer: d}, nil
}

// take takes a place. The first of a destination is always free.
func (d *dialer) take() bool {
	held, used := d.held.Add(1), d.places.used.Add(1)
	if held > 1 && held > d.places.total-used+1 {
		d.give()
		return false
	}
	return true
}

func (d *dialer) give() {
	d.held.Add(-1)
	d.places.used.Add(-1)
}

// placed is a connection that has a place.
type placed struct {
	net.Conn
	dialer *dialer
	once   sync.Once
}

// Close implements net.Conn.
func (p *placed) Close() error {
	p.once.Do(p.dialer.give)
	return p.Conn.Close()
}
