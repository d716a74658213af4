package webhook

import (
	"io"
	"net"
	"testing"

	"eventserver/destinations/destinationtest"
)

// opensAll takes all the places that a destination can get.
func opensAll(d *dialer) (n int64) {
	for d.take() {
		n++
	}
	return n
}

func TestConnectionsAreSharedByDestinations(t *testing.T) {
	p := &places{total: 120}
	var got []int64
	for range 3 { // receivers that hang
		got = append(got, opensAll(&dialer{places: p}))
	}
	if got[0] != 60 || got[1] != 30 || got[2] != 15 {
		t.Errorf("places %v, want a half of what was free each time", got)
	}
	for i := range 100 {
		d := &dialer{places: p}
		if !d.take() {
			t.Fatalf("destination %d has no place", i)
		}
	}
	d := &dialer{places: p}
	d.take()
	if d.take() {
		t.Error("a second place, beyond the limit")
	}
	before := p.used.Load()
	d.give()
	if used := p.used.Load(); used != before-1 {
		t.Errorf("%d places in use, want %d", used, before-1)
	}
}

// That the process has no place is not the event's fault, and the place of a
// connection that was closed is free again.
func TestNoPlaceForAConnection(t *testing.T) {
	r := rawReceiver(t, func(conn net.Conn, _ got) bool {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
		return true
	})
	d := open(t, Config{URL: r.url})
	p := &places{total: 2, files: 4}
	dial := &dialer{places: p}
	d.plain.dial = dial.DialContext
	other := &dialer{places: p}
	dial.held.Store(1) // one of its connections hangs
	p.used.Store(1)
	if !other.take() {
		t.Fatal("the other destination has no place")
	}
	err := d.Deliver(t.Context(), delivery("e1"))
	if got := destinationtest.Verdict(err); got != "unavailable" {
		t.Fatalf("verdict %q: %v", got, err)
	}
	const want = "webhook connection failed: the process is short of open files: it has 2 connections to receivers, and 4 files may be open (ulimit -n); give it more, or destinations less concurrency"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	other.give()
	dial.held.Store(0)
	p.used.Store(0)
	for range 3 {
		if err := d.Deliver(t.Context(), delivery("e2")); err != nil {
			t.Fatal(err)
		}
	}
	if used := p.used.Load(); used != 0 {
		t.Errorf("%d places are in use", used)
	}
}
