package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		program string
		rate    float64
		cpu     time.Duration
	}{{"new", 200, 10}, {"old", 100, 40}, {"new", 90, 10}, {"old", 30, 20}, {"new", 100, 10}, {"old", 100, 10}} {
		r.add(Result{Program: x.program, Ordering: "key", Deliveries: x.rate, EventCPU: x.cpu, Pair: 1 + i/2})
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
