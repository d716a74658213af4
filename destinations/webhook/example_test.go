package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"eventserver/destinations"
	"eventserver/destinations/webhook"
)

func Example() {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.Header.Get("webhook-id"), r.Header.Get("Event-Type"))
	}))
	defer receiver.Close()
	d, err := webhook.New("shop", webhook.Config{URL: receiver.URL, AllowPrivate: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	err = d.Deliver(context.Background(), destinations.Delivery{
		ID: "e1:shop", EventID: "e1", EventType: "order.placed", Key: "user-1", Attempt: 1,
		Payload: destinations.Payload{ContentType: "application/json", Body: []byte(`{}`)},
	})
	fmt.Println(err)
	// Output:
	// POST e1:shop order.placed
	// <nil>
}
