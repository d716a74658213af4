package kafka

import (
	"errors"
	"net"

	"github.com/IBM/sarama"
)

// hangUp closes connections after an answer that did not come in time. sarama
// keeps such a connection and gives that same error to everything that is asked
// on it, until it looks at the metadata again by itself, ten minutes later at
// most. The next to ask connects anew.
func hangUp(err error, on ...*sarama.Broker) {
	if !broken(err) {
		return
	}
	for _, broker := range on {
		_ = broker.Close() // it may have been closed meanwhile
	}
}

// broken says that nothing more can be asked on the connection. An answer that
// comes after its time is taken for that of the next question, and is no
// net.Error: sarama finds that the numbers do not match.
func broken(err error) bool {
	var transport net.Error
	var answer sarama.PacketDecodingError
	return errors.As(err, &transport) || errors.As(err, &answer)
}

// asked is for errors of what the admin client asked a group's coordinator, or
// the controller when group is "".
func (b *Broker) asked(group string, err error) {
	if !broken(err) {
		return
	}
	find := b.client.Controller
	if group != "" {
		find = func() (*sarama.Broker, error) { return b.client.Coordinator(group) }
	}
	if broker, notFound := find(); notFound == nil {
		hangUp(err, broker)
	}
}
