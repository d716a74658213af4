package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is posted is JSON of just the size that was asked for, and a receiver
// reads back what it says, alone or in a batch.
func TestEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type event struct {
			user, n int
			due     time.Duration
		}
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
			return event{rapid.IntRange(0, 999_999).Draw(t, "user"), rapid.IntRange(1, 99_999_999).Draw(t, "n"), time.Duration(rapid.Int64Range(0, int64(time.Hour)-1).Draw(t, "due"))}
		}), 1, 5).Draw(t, "events")
		size := rapid.IntRange(minSize, 2000).Draw(t, "size")
		var body []byte
		for _, e := range events {
			before := len(body)
			body = appendEvent(body, size, e.user, e.n, e.due)
			if n := len(body) - before; n != size {
				t.Fatalf("%d bytes, want %d", n, size)
			}
			if !json.Valid(body[before:]) {
				t.Fatalf("no JSON: %s", body[before:])
			}
		}
		rest := body
		for _, e := range events {
			var got received
			var err error
			if got, rest, err = parseEvent(rest); err != nil {
				t.Fatal(err)
			}
			if got.user != fmt.Sprint("u", e.user) || got.user0 != e.user || got.number != e.n || got.due != e.due {
				t.Fatalf("got %+v, want %+v", got, e)
			}
		}
		if len(rest) != 0 {
			t.Fatalf("left over: %s", rest)
		}
	})
	for _, bad := range []string{"", "{}", `{"userId":"u1"`, `{"userId":"u1","n":x,"due":1,"data":""}`, `{"userId":"bob","n":1,"due":1,"data":""}`} {
		if _, _, err := parseEvent([]byte(bad)); !errors.Is(err, errNotOurs) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestHTTP(t *testing.T) {
	br := bufio.NewReader(strings.NewReader("POST /d1 HTTP/1.1\r\nHost: x\r\nCONTENT-length: 5\r\n\r\nhello" +
		"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n" + "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	path, length, err := readHead(br)
	if err != nil || path != "/d1" || length != 5 {
		t.Fatal(path, length, err)
	}
	if body, err := readBody(br, nil, length); err != nil || !bytes.Equal(body, []byte("hello")) {
		t.Fatalf("%s %v", body, err)
	}
	if status, length, err := readHead(br); err != nil || status != "202" || length != 0 {
		t.Fatal(status, length, err)
	}
	if _, _, err := readHead(br); !errors.Is(err, errHTTP) {
		t.Fatal(err)
	}
	if _, _, err := readHead(bufio.NewReader(strings.NewReader(""))); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestPercentile(t *testing.T) {
	var d []time.Duration
	if percentile(d, .5) != 0 {
		t.Error("of nothing")
	}
	for i := range 100 {
		d = append(d, time.Duration(99-i))
	}
	slices.Sort(d)
	if percentile(d, .5) != 50 || percentile(d, .99) != 99 || percentile(d, 1) != 99 {
		t.Error(percentile(d, .5), percentile(d, .99), percentile(d, 1))
	}
}

func TestConfigFaultsAreToldAtOnce(t *testing.T) {
	_, err := Config{Against: []string{"old", "old"}, Failing: 1, Rate: -5, Users: 3, Connections: 5, Size: 10, Orderings: []string{"random"}}.withDefaults()
	for _, want := range []string{"Program", "failing users", "rate -5", "3 users on 5 connections", "size 10", `"random"`, `"old": name each`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: lacks %s", err, want)
		}
	}
}

func TestRatiosArePairedAndRunsThatBreakOrderFail(t *testing.T) {
	r := newReport(Config{Program: "new", Against: []string{"old"}, Out: io.Discard})
	for i, x := range []struct {
		name string
		rate float64
		cpu  time.Duration
	}{{"key", 200, 10}, {"key old", 100, 40}, {"key", 90, 10}, {"key old", 30, 20}, {"key", 100, 10}, {"key old", 100, 10}} {
		r.add(Result{Name: x.name, Deliveries: x.rate, EventCPU: x.cpu, Pair: 1 + i/2})
	}
	r.finish()
	if want := (Ratio{Of: "key", To: "key old", Min: 1, Median: 2, Max: 3, EventCPU: .5}); len(r.Ratios) != 1 || r.Ratios[0] != want {
		t.Errorf("%+v", r.Ratios)
	}
	if !r.OK() {
		t.Error("no promise was broken")
	}
	r.add(Result{Drained: false})
	if !r.OK() {
		t.Error("a run that is only slow breaks nothing")
	}
	lost := newReport(Config{Out: io.Discard})
	lost.add(Result{Stuck: true})
	if lost.OK() {
		t.Error("a loss is not seen")
	}
	broken := Result{}
	broken.Verdict.OrderBreaks = 1
	r.add(broken)
	if r.OK() {
		t.Error("an order break is not seen")
	}
}

// Every pair has the program by hand, and a quiet run where something else is not quiet.
func TestSubjects(t *testing.T) {
	names := func(c Config) (all []string) {
		c.Program, c.Orderings = "new", []string{"key", "partition"}
		for _, s := range c.subjects() {
			all = append(all, s.name("new"))
			if of := c.of(s); s.quiet && (of.Failing != 0 || of.Dead != 0 || of.Hanging != 0) || !s.quiet && (of.Dead != c.Dead || of.Failing != c.Failing) {
				t.Errorf("%+v: %+v", s, of)
			}
		}
		return all
	}
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, []string{"key", "partition"}},
		{Config{Against: []string{"old"}, ByHand: []string{}}, []string{"key", "key old", "partition", "partition old", "by hand"}},
		{Config{Failing: .1, Dead: 2, Hanging: 3}, []string{"key", "partition", "quiet"}},
		{Config{Hanging: 1, ByHand: []string{}}, []string{"key", "partition", "by hand", "quiet"}},
	} {
		if got := names(c.cfg); !slices.Equal(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// A dead destination refuses connections; a hanging one takes them and answers nothing.
func TestDeadDestinations(t *testing.T) {
	r, err := newReceivers(t.Context(), Config{Destinations: 1, Dead: 1, Hanging: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := r.targets()
	if len(to) != 3 || to[0].id != "d0" || to[1].id != "dead0" || to[2].id != "hanging0" {
		t.Fatalf("%+v", to)
	}
	dial := func(at target) (net.Conn, error) {
		u, err := url.Parse(at.url)
		if err != nil {
			t.Fatal(err)
		}
		return net.Dial("tcp", u.Host)
	}
	if conn, err := dial(to[1]); err == nil {
		t.Errorf("%s: connected with %s", to[1].url, conn.RemoteAddr())
	}
	conn, err := dial(to[2])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d bytes of an answer, %v", n, err)
	}
}
