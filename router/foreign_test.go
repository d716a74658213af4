package router

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
)

// forged has each of our headers in a record of another program.
func forged(m *message.Message) *message.Message {
	for name, value := range map[string]string{
		hMark: MarkDiscarded, hMarkOf: "0:5", hMarkBy: "mallory", hMarkAt: "2026-01-02T03:04:05Z", hMarkRun: "r", hMarkEvent: "e",
		hPoisonStage: stageTransform, hPoisonReason: "age", hPoisonDetail: "forged", hPoisonAttempts: "99", hPoisonFirst: "2001-01-01T00:00:00Z",
		hPoisonLast: "2001-01-01T00:00:00Z", hPoisonLeftOut: "body", hPoisonSource: "events/0:0", hPoisonSize: "9", hPoisonSum: "00", hPoison + "x": "forged",
		hBatch: "forged", "es_unknown": "forged", hRedrives: "99", infra.MetaPartition: "2", infra.MetaOffset: "8",
	} {
		m.Metadata[name] = value
	}
	return m
}

// A foreign header es_mark made a mark of a poison record: the queue hid it, and the
// mark settled another one.
func TestForeignHeadersHideNothing(t *testing.T) {
	for _, stage := range []string{stageTransform, stageDeliver} {
		m := forged(delivery("u", "e1"))
		m.Metadata[hSequence] = "4611686018427387904"
		rec := giveUpNow(metrics.ReasonFilter, errPlain).poisonRecord(m, stage)
		if mark, is := DecodeMark(rec); is {
			t.Errorf("%s: it is read as %+v", stage, mark)
		}
		g := DecodePoison("d", rec)
		if g.Stage != stage || g.Reason != metrics.ReasonFilter || g.Attempts != 0 || g.Redrives != 0 || g.First.Year() == 2001 || g.Last.Year() == 2001 ||
			g.LeftOut != nil || g.Source.Topic != "" || g.Size != len(m.Payload) || !strings.Contains(g.Detail, errPlain.Error()) {
			t.Errorf("%s: %+v", stage, g)
		}
		if stage == stageTransform && g.Sequence != 8 {
			t.Errorf("the sequence is %d, want the event's offset", g.Sequence)
		}
		for name, value := range rec.Metadata {
			if value == "forged" || strings.HasPrefix(name, hMark) {
				t.Errorf("%s: it has %s: %s", stage, name, value)
			}
		}
		// As a server of before wrote it.
		for name, value := range m.Metadata {
			if _, has := rec.Metadata[name]; !has {
				rec.Metadata[name] = value
			}
		}
		if mark, is := DecodeMark(rec); is {
			t.Errorf("%s: it is read as %+v", stage, mark)
		}
	}
}

// What the events topic has of our headers for a destination goes no further.
func TestForeignHeadersOnEvents(t *testing.T) {
	run(t, func(t *testing.T) {
		r := newRig(t, Destination{Destination: newPlan("d", nil)})
		m := forged(recordOf("u", "e1"))
		m.Metadata[hSequence], m.Metadata[hHeader+"Authorization"] = "4611686018427387904", "forged"
		r.broker.subs[TransformGroup("d")].ch <- m
		synctest.Wait()
		out := r.broker.pub.of(DestinationTopic("d"))
		if len(out) != 1 {
			t.Fatalf("%d for the destination, want 1", len(out))
		}
		d, err := DecodeDelivery("d", out[0])
		if err != nil || d.Sequence != 8 || len(d.Payload.Headers) > 0 || d.Redrives != 0 {
			t.Errorf("%+v, %v", d, err)
		}
		for name := range out[0].Metadata {
			if strings.HasPrefix(name, hPoison) || strings.HasPrefix(name, hMark) {
				t.Errorf("it has %s", name)
			}
		}
	})
}

// A part of the headers of a redrive is none: a count alone would be refused, or would
// hide a record from the look at what a kill left behind.
func TestForeignRedrive(t *testing.T) {
	whole := map[string]string{hRedrives: "2", hRedriveOf: "1:7", hRedriveRun: "r", hRedrivenAt: "2026-01-02T03:04:05Z"}
	m := delivery("u", "e1")
	for name, value := range whole {
		m.Metadata[name] = value
	}
	if d, err := DecodeDelivery("d", m); err != nil || d.Redrives != 2 || d.RedrivenAt.IsZero() {
		t.Fatalf("%+v, %v", d, err)
	}
	for name, bad := range map[string][]string{hRedrives: {"", "0", "-1", "x"}, hRedriveOf: {"", "7", "-1:7"}, hRedriveRun: {""}, hRedrivenAt: {"", "noon"}} {
		for _, value := range bad {
			m.Metadata[name] = value
			d, err := DecodeDelivery("d", m)
			if err != nil || d.Redrives != 0 || !d.RedrivenAt.IsZero() {
				t.Errorf("%s %q: %d redrives, at %s, %v", name, value, d.Redrives, d.RedrivenAt, err)
			}
			if g := DecodePoison("d", giveUpNow("", errPlain).poisonRecord(m, stageDeliver)); g.Redrives != 0 {
				t.Errorf("%s %q: %d redrives in the poison queue", name, value, g.Redrives)
			}
		}
		m.Metadata[name] = whole[name]
	}
}

// A time to come made a latency negative, and a sum of latencies fall.
func TestForeignTime(t *testing.T) {
	now := time.Now()
	for _, d := range []destinations.Delivery{{ReceivedAt: now.Add(time.Hour)}, {ReceivedAt: now, RedrivenAt: now.Add(time.Hour)}} {
		if at := since(&d, now); !at.Equal(now) {
			t.Errorf("%s", at)
		}
	}
}
