package destinations_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"eventserver/destinations"
)

// mailer sends a mail for each order. Its server may be down, or know no such user.
type mailer struct{ id string }

func (m mailer) ID() string { return m.id }

// Transform makes the payload once, when the event is accepted for the destination.
func (m mailer) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	var order struct{ Total int }
	if err := json.Unmarshal(e.Data, &order); err != nil {
		return destinations.Payload{}, err // goes to the poison queue
	}
	if order.Total == 0 {
		return destinations.Payload{}, destinations.ErrSkip // this destination does not want it
	}
	return destinations.Payload{ContentType: "text/plain", Body: fmt.Appendf(nil, "You have paid %d.", order.Total)}, nil
}

// Deliver makes one attempt. What its error says decides about the next one.
func (m mailer) Deliver(_ context.Context, d destinations.Delivery) error {
	switch d.Key {
	case "nobody":
		return destinations.Permanent(errors.New("no such user")) // no other attempt: the poison queue
	case "busy":
		return destinations.RetryAfter(errors.New("too many mails"), time.Minute) // not before a minute has passed
	case "down":
		return destinations.Unavailable(errors.New("connection refused")) // the destination pauses, and no attempt is spent
	case "odd":
		return errors.New("a fault of a moment") // another attempt, after a backoff
	}
	return nil
}

func Example() {
	ctx := context.Background()
	var d destinations.Destination = mailer{id: "mail"}
	for _, data := range []string{`{"total": 12}`, `{"total": 0}`, `12`} {
		p, err := d.Transform(ctx, destinations.Event{Data: []byte(data)})
		switch {
		case errors.Is(err, destinations.ErrSkip):
			fmt.Println("skipped")
		case err != nil:
			fmt.Println("poisoned")
		default:
			fmt.Println(string(p.Body))
		}
	}
	for _, key := range []string{"ann", "nobody", "busy", "down", "odd"} {
		fmt.Println(key, d.Deliver(ctx, destinations.Delivery{Key: key}))
	}
	// Output:
	// You have paid 12.
	// skipped
	// poisoned
	// ann <nil>
	// nobody no such user
	// busy too many mails
	// down connection refused
	// odd a fault of a moment
}
