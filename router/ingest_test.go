package router

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/router/record"
	"eventserver/router/routertest"
)

// Without a tracer nothing more is allocated to store an event.
func TestIngestWithoutATracerCostsNothing(t *testing.T) {
	recs := []*message.Message{routertest.Record("k", "e")}
	var pub message.Publisher = routertest.Sink{}
	in := ingester{pub: pub}
	direct := testing.AllocsPerRun(100, func() {
		recs, _ := record.DecodeIngest(recs[0])
		_ = pub.Publish(record.EventsTopic, recs...)
	})
	if n := testing.AllocsPerRun(100, func() { _ = in.handle(recs[0]) }); n != direct {
		t.Errorf("ingest allocates %v times, without spans in the code %v", n, direct)
	}
}
