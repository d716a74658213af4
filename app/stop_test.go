package app_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"eventserver/app"
	"eventserver/app/config"
	"eventserver/destinations"
)

// soon fails when f has not returned long before any timeout of the server's.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		t.Fatalf("%s takes too long", what)
	}
}

// Closing Watermill's routers that never ran waits their whole CloseTimeout: a
// taken port was told after half a minute.
func TestFailedStartIsToldAtOnce(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	cfg, err := config.Parse("test", fmt.Appendf(nil, "http: {addr: %q}\nbroker: {kind: memory}\ndestinations: []\n", taken.Addr()), config.Checks{Here: true})
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "a failed start", func() {
		a, err := app.New(t.Context(), cfg, app.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") || strings.Contains(err.Error(), "timeout") {
			t.Errorf("got %v", err)
		}
	})
}

// An address where something else than Kafka listens must not outlast a signal.
func TestStartEndsWithItsContext(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	cfg, err := config.Parse("test", fmt.Appendf(nil, "broker: {kind: kafka, brokers: [%q]}\ndestinations: []\n", mute.Addr()), config.Checks{Here: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	soon(t, "a cancelled start", func() {
		if _, err := app.New(ctx, cfg, app.Options{}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "broker.brokers") {
			t.Errorf("got %v", err)
		}
	})
}

// A client that sends slowly uses up nothing of the time that deliveries have
// to come to their end, and none is cut.
func TestSlowClientDoesNotCutDeliveries(t *testing.T) {
	for _, ordering := range []string{"key", "partition"} {
		t.Run(ordering, func(t *testing.T) {
			broker := fmt.Sprintf("{kind: embedded, dir: %q, partitions: 2}\nordering: %s", t.TempDir(), ordering)
			p := newProbe("d")
			begun, release := make(chan struct{}, 10), make(chan struct{})
			p.fail = func(destinations.Delivery) error {
				begun <- struct{}{}
				<-release
				return nil
			}
			url, stop := start(t, broker, p)
			if code, body := post(t, url+"/v1/events", `{"id":"e1","userId":"u"}`); code != http.StatusAccepted {
				t.Fatalf("%d %s", code, body)
			}
			<-begun
			slow, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = slow.Write([]byte("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"))
			stopped := make(chan struct{})
			go func() { defer close(stopped); stop() }()
			close(release) // the attempt under way comes to its end
			p.await(t, 1)
			_ = slow.Close()
			soon(t, "the stop", func() { <-stopped })

			again := newProbe("d")
			url, _ = start(t, broker, again)
			if code, body := post(t, url+"/v1/events", `{"id":"e2","userId":"u"}`); code != http.StatusAccepted {
				t.Fatalf("%d %s", code, body)
			}
			if d := again.await(t, 1)[0]; d.EventID != "e2" {
				t.Errorf("%s was delivered before the stop and came again", d.EventID)
			}
		})
	}
}

// What a transformation makes may not fit into a record: the event is poisoned
// for that destination, and its user's later events go on.
func TestTooLargePayloadIsPoisoned(t *testing.T) {
	for name, broker := range map[string]string{"memory": "{kind: memory}", "embedded": fmt.Sprintf("{kind: embedded, dir: %q}", t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			p := newProbe("d")
			p.grow = func(e destinations.Event) []byte {
				if e.ID == "big" {
					return make([]byte, 5<<20)
				}
				return e.Data
			}
			url, _ := start(t, broker, p)
			for _, id := range []string{"big", "small"} {
				if code, body := post(t, url+"/v1/events", fmt.Sprintf(`{"id":%q,"userId":"u"}`, id)); code != http.StatusAccepted {
					t.Fatalf("%d %s", code, body)
				}
			}
			if d := p.await(t, 1)[0]; d.EventID != "small" {
				t.Errorf("%s was delivered", d.EventID)
			}
			awaitMetric(t, url, `eventserver_poisoned_total{destination="d",reason="transform"} 1`)
		})
	}
}
