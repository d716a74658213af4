package kafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"eventserver/destinations"
)

// refused reports whether a cluster answered a batch with an error that may be
// about one of its records. What is left says that the cluster cannot take any
// record at the moment, which it would say to each.
func refused(err error) bool {
	var code *kerr.Error
	if !errors.As(err, &code) {
		return false // no answer
	}
	return !kerr.IsRetriable(code) || errors.Is(code, kerr.CorruptMessage)
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
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidRecord):
		return destinations.Permanent(said)
	case errors.Is(err, kerr.CorruptMessage):
		return said
	}
	return destinations.Unavailable(said)
}
