package router

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
)

// What a destination was not given is its problem; a damaged file is everybody's.
func TestDamageIsAProblem(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d := NewDamage(m, slog.New(slog.NewTextHandler(&log, nil)))
	has := func(id string, words ...string) {
		t.Helper()
		got := strings.Join(d.problems(id), "\n")
		if len(words) == 0 && got != "" {
			t.Errorf("%s has the problem %s", id, got)
		}
		for _, w := range words {
			if !strings.Contains(got, w) {
				t.Errorf("%s has the problems %q, want %q", id, got, w)
			}
		}
	}
	has("a")
	if testutil.ToFloat64(m.BrokerDamaged) != 0 {
		t.Error("damaged from the start")
	}
	lost := &infra.DamageError{Topic: record.EventsTopic, Partition: 2, Offsets: infra.Span{From: 7, To: 10}, Err: errors.New("checksum")}
	d.Passed(record.TransformGroup("a"), lost)
	d.Passed(record.TransformGroup("a"), lost) // it came by again
	d.Passed("a group of somebody else", lost)
	has("a", "3 records cannot be read and were passed over, the last at topic events, partition 2, offsets 7 to 9")
	d.Passed(record.TransformGroup("a"), &infra.DamageError{Topic: record.EventsTopic, Partition: 2, Offsets: infra.Span{From: 5, To: 10}, Err: errors.New("checksum")})
	has("a", "5 records", "offsets 5 to 9") // and set back
	has("b")
	d.Passed(record.DeliverGroup("a"), &infra.DamageError{Topic: record.DestinationTopic("a"), Offsets: infra.Span{From: 1, To: 2}, File: "data/log/000012.sst", Err: errors.New("checksum")})
	has("a", "6 records", "topic dest.a, partition 0, offsets 1 to 1", "damaged files", "data/log/000012.sst")
	has("b", "damaged files", "data/log/000012.sst")
	for range 2 {
		d.Met(&infra.DamageError{File: "data/log/000013.sst", Err: errors.New("checksum")})
	}
	has("b", "data/log/000012.sst, data/log/000013.sst")
	if n := strings.Count(log.String(), "000013.sst"); n != 1 {
		t.Errorf("a file is told %d times:\n%s", n, log.String())
	}
	const unreadable = "eventserver_unreadable_messages_total"
	if err := testutil.GatherAndCompare(reg, strings.NewReader("# HELP "+unreadable+" Messages that a destination was not given because they cannot be read.\n"+
		"# TYPE "+unreadable+" counter\n"+unreadable+"{destination=\"a\"} 6\n"), unreadable); err != nil {
		t.Error(err)
	}
	if testutil.ToFloat64(m.BrokerDamaged) != 1 {
		t.Error("the gauge does not say so")
	}
	if (*Damage)(nil).problems("a") != nil {
		t.Error("without any there are problems")
	}
}

// A group that comes by again may meet the damage at another offset: a record was
// counted twice.
func TestPassedRecordsAreCountedOnce(t *testing.T) {
	p := &passed{spans: map[place][]infra.Span{}}
	here, there := place{"events", 1}, place{"events", 2}
	for _, c := range []struct {
		at       place
		from, to int64
		more     int64
	}{
		{here, 60, 131, 71},
		{here, 19, 131, 41},
		{here, 19, 131, 0},
		{here, 70, 80, 0},
		{here, 200, 210, 10},
		{there, 60, 131, 71},
		{here, 5, 5, 1}, // how many is not known
		{here, 10, 19, 9},
		{here, 131, 140, 9},
		{here, 300, 310, 10},
		{here, 0, 305, 5 + 4 + 60 + 90}, // all the gaps
		{here, 400, 401, 1},
	} {
		if n := p.add(c.at, infra.Span{From: c.from, To: c.to}); n != c.more {
			t.Errorf("%v, offsets %d to %d: %d more records, want %d: %v", c.at, c.from, c.to, n, c.more, p.spans[c.at])
		}
	}
	if got, want := p.spans[here], []infra.Span{{From: 0, To: 310}, {From: 400, To: 401}}; !slices.Equal(got, want) {
		t.Errorf("the spans are %v, want %v", got, want)
	}
	if p.records != 382 {
		t.Errorf("%d records in all", p.records)
	}
}
