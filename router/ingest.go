package router

import (
	"eventserver/router/attempt"
	"eventserver/router/record"
	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/trace"
)

// Publish stores records of events on their topic, with spans when tracer is
// not nil; system is Config.TraceSystem.
func Publish(pub message.Publisher, tracer trace.Tracer, system string, recs []*message.Message) error {
	return attempt.NewSpans(tracer, system, "", "").Publish(pub, record.EventsTopic, recs)
}

// ingester stores the events of a request. The request is answered when it
// returns: nil is a promise.
type ingester struct {
	pub   message.Publisher
	spans *attempt.Spans
}

func (i ingester) handle(msg *message.Message) error {
	recs, err := record.DecodeIngest(msg)
	if err != nil {
		return err
	}
	return i.spans.Publish(i.pub, record.EventsTopic, recs)
}
