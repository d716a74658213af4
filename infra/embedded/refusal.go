package embedded

import (
	"errors"
	"strings"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// storeError is a publish that the disk did not take. The cluster answers one
// unknown error for each; why it is, such as a full disk, it tells its logger
// alone.
type storeError struct{ answer, why error }

func (e *storeError) Error() string   { return "broker.dir: " + e.why.Error() }
func (e *storeError) Unwrap() []error { return []error{e.answer, e.why} }

// explained is a publisher whose errors name what the disk said.
type explained struct {
	message.Publisher
	log *clusterLogger
}

// Publish implements message.Publisher.
func (p explained) Publish(topic string, msgs ...*message.Message) error {
	err := p.Publisher.Publish(topic, msgs...)
	if !errors.Is(err, sarama.ErrUnknown) {
		return err
	}
	if why := p.log.refusal.Load(); why != nil {
		return &storeError{err, *why}
	}
	return err
}

// Publisher implements infra.Broker.
func (b *Broker) Publisher(d infra.Durability) message.Publisher {
	return explained{b.Broker.Publisher(d), b.log}
}

// note keeps why the disk did not take a record: the last argument of the
// cluster's warning.
func (l *clusterLogger) note(format string, args []any) {
	if !strings.HasPrefix(format, "persist batch") || len(args) == 0 {
		return
	}
	if err, ok := args[len(args)-1].(error); ok {
		l.refusal.Store(&err)
	}
}
