package router

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// forged has each of our headers in a record of another program.
func forged(m *message.Message) *message.Message {
	for name, value := range map[string]string{
		"es_mark": record.MarkDiscarded, "es_mark_of": "0:5", "es_mark_by": "mallory", "es_mark_at": "2026-01-02T03:04:05Z", "es_mark_run": "r", "es_mark_event": "e",
		"es_poison_stage": record.StageTransform, "es_poison_reason": "age", "es_poison_detail": "forged", "es_poison_attempts": "99", "es_poison_first": "2001-01-01T00:00:00Z",
		"es_poison_last": "2001-01-01T00:00:00Z", "es_poison_left_out": "body", "es_poison_source": "events/0:0", "es_poison_size": "9", "es_poison_sum": "00", "es_poison_" + "x": "forged",
		"es_batch": "forged", "es_unknown": "forged", "es_redrives": "99", infra.MetaPartition: "2", infra.MetaOffset: "8",
	} {
		m.Metadata[name] = value
	}
	return m
}

// A foreign header es_mark made a mark of a poison record: the queue hid it, and the
// mark settled another one.
func TestForeignHeadersHideNothing(t *testing.T) {
	for _, stage := range []string{record.StageTransform, record.StageDeliver} {
		m := forged(routertest.Delivery("u", "e1"))
		m.Metadata["es_sequence"] = "4611686018427387904"
		rec := attempt.GiveUpNow(metrics.ReasonFilter, routertest.ErrPlain).PoisonRecord(m, stage)
		if mark, is := record.DecodeMark(rec); is {
			t.Errorf("%s: it is read as %+v", stage, mark)
		}
		g := record.DecodePoison("d", rec)
		if g.Stage != stage || g.Reason != metrics.ReasonFilter || g.Attempts != 0 || g.Redrives != 0 || g.First.Year() == 2001 || g.Last.Year() == 2001 ||
			g.LeftOut != nil || g.Source.Topic != "" || g.Size != len(m.Payload) || !strings.Contains(g.Detail, routertest.ErrPlain.Error()) {
			t.Errorf("%s: %+v", stage, g)
		}
		if stage == record.StageTransform && g.Sequence != 8 {
			t.Errorf("the sequence is %d, want the event's offset", g.Sequence)
		}
		for name, value := range rec.Metadata {
			if value == "forged" || strings.HasPrefix(name, "es_mark") {
				t.Errorf("%s: it has %s: %s", stage, name, value)
			}
		}
		// As a server of before wrote it.
		for name, value := range m.Metadata {
			if _, has := rec.Metadata[name]; !has {
				rec.Metadata[name] = value
			}
		}
		if mark, is := record.DecodeMark(rec); is {
			t.Errorf("%s: it is read as %+v", stage, mark)
		}
	}
}

// What the events topic has of our headers for a destination goes no further.
func TestForeignHeadersOnEvents(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r := newRig(t, Destination{Destination: newPlan("d", nil)})
		m := forged(routertest.Record("u", "e1"))
		m.Metadata["es_sequence"], m.Metadata["es_header_"+"Authorization"] = "4611686018427387904", "forged"
		r.broker.subs[record.TransformGroup("d")].Ch <- m
		synctest.Wait()
		out := r.broker.pub.of(record.DestinationTopic("d"))
		if len(out) != 1 {
			t.Fatalf("%d for the destination, want 1", len(out))
		}
		d, err := record.DecodeDelivery("d", out[0])
		if err != nil || d.Sequence != 8 || len(d.Payload.Headers) > 0 || d.Redrives != 0 {
			t.Errorf("%+v, %v", d, err)
		}
		for name := range out[0].Metadata {
			if strings.HasPrefix(name, "es_poison_") || strings.HasPrefix(name, "es_mark") {
				t.Errorf("it has %s", name)
			}
		}
	})
}

// A part of the headers of a redrive is none: a count alone would be refused, or would
// hide a record from the look at what a kill left behind.
func TestForeignRedrive(t *testing.T) {
	whole := map[string]string{"es_redrives": "2", "es_redrive_of": "1:7", "es_redrive_run": "r", "es_redriven_at": "2026-01-02T03:04:05Z"}
	m := routertest.Delivery("u", "e1")
	for name, value := range whole {
		m.Metadata[name] = value
	}
	if d, err := record.DecodeDelivery("d", m); err != nil || d.Redrives != 2 || d.RedrivenAt.IsZero() {
		t.Fatalf("%+v, %v", d, err)
	}
	for name, bad := range map[string][]string{"es_redrives": {"", "0", "-1", "x"}, "es_redrive_of": {"", "7", "-1:7"}, "es_redrive_run": {""}, "es_redriven_at": {"", "noon"}} {
		for _, value := range bad {
			m.Metadata[name] = value
			d, err := record.DecodeDelivery("d", m)
			if err != nil || d.Redrives != 0 || !d.RedrivenAt.IsZero() {
				t.Errorf("%s %q: %d redrives, at %s, %v", name, value, d.Redrives, d.RedrivenAt, err)
			}
			if g := record.DecodePoison("d", attempt.GiveUpNow("", routertest.ErrPlain).PoisonRecord(m, record.StageDeliver)); g.Redrives != 0 {
				t.Errorf("%s %q: %d redrives in the poison queue", name, value, g.Redrives)
			}
		}
		m.Metadata[name] = whole[name]
	}
}
