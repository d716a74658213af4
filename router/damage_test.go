package router

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"eventserver/infra"
	"eventserver/metrics"
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
	lost := &infra.DamageError{Topic: EventsTopic, Partition: 2, Offsets: infra.Span{From: 7, To: 10}, Err: errors.New("checksum")}
	d.Passed(TransformGroup("a"), lost)
	d.Passed(TransformGroup("a"), lost) // it came by again
	d.Passed("a group of somebody else", lost)
	has("a", "3 records cannot be read and were passed over, the last at topic events, partition 2, offsets 7 to 9")
	has("b")
	d.Passed(DeliverGroup("a"), &infra.DamageError{Topic: DestinationTopic("a"), Offsets: infra.Span{From: 1, To: 2}, File: "data/log/000012.sst", Err: errors.New("checksum")})
	has("a", "4 records", "topic dest.a, partition 0, offsets 1 to 1", "damaged files", "data/log/000012.sst")
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
		"# TYPE "+unreadable+" counter\n"+unreadable+"{destination=\"a\"} 4\n"), unreadable); err != nil {
		t.Error(err)
	}
	if testutil.ToFloat64(m.BrokerDamaged) != 1 {
		t.Error("the gauge does not say so")
	}
	if (*Damage)(nil).problems("a") != nil {
		t.Error("without any there are problems")
	}
}
