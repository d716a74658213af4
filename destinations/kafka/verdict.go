package kafka

import (
	"errors"

	"github.com/IBM/sarama"

	"eventserver/destinations"
)

// refused reports whether a cluster answered a batch with an error that may be
// about one of its records. What is left says that the cluster cannot take any
// record at the moment, which it would say to each.
func refused(err error) bool {
	var code sarama.KError
	if !errors.As(err, &code) {
		return false // no answer
	}
	switch code {
	case sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrReplicaNotAvailable,
		sarama.ErrBrokerNotAvailable, sarama.ErrRequestTimedOut, sarama.ErrNetworkException, sarama.ErrKafkaStorageError,
		sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrThrottlingQuotaExceeded:
		return false
	}
	return true
}

// verdict is what an error means for a record that was alone in its batch; said
// is the error in the words that may be shown.
//
//	too large, not valid                permanent: no cluster will take it
//	corrupt                             tried again and counted: it may be this record, or its way there
//	anything else, and no answer        the cluster's fault. A time that is not valid is too:
//	                                    records have the time at which they are sent
func verdict(err, said error) error {
	switch {
	case errors.Is(err, sarama.ErrMessageSizeTooLarge), errors.Is(err, sarama.ErrMessageSetSizeTooLarge), errors.Is(err, sarama.ErrInvalidRecord):
		return destinations.Permanent(said)
	case errors.Is(err, sarama.ErrInvalidMessage):
		return said
	}
	return destinations.Unavailable(said)
}
