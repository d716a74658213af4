package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"eventserver/destinations"
)

// A destination that is down and one that hangs touch neither ingestion nor
// the healthy one: it gets everything while they have nothing.
func TestDestinationsAreIsolated(t *testing.T) {
	const users, each = 10, 20
	healthy, down, hung := newProbe("healthy"), newProbe("down"), newProbe("hung")
	up, release := make(chan struct{}), make(chan struct{})
	down.fail = func(destinations.Delivery) error {
		select {
		case <-up:
			return nil
		default:
			return destinations.Unavailable(errors.New("connection refused"))
		}
	}
	hung.fail = func(destinations.Delivery) error { <-release; return nil }
	url, _ := start(t, "{kind: memory, partitions: 4}", healthy, down, hung)
	for n := range each {
		for u := range users {
			if code, body := post(t, url+"/v1/events", fmt.Sprintf(`{"userId":"u%d","n":%d}`, u, n)); code != http.StatusAccepted {
				t.Fatalf("%d %s", code, body)
			}
		}
	}
	healthy.await(t, users*each)
	if n := len(down.came) + len(hung.came); n != 0 {
		t.Fatalf("%d deliveries came to the sick destinations: the test shows nothing", n)
	}
	close(up)
	close(release)
	down.await(t, users*each) // an outage spends no attempts: nothing was given up
	hung.await(t, users*each)
}

// A user whose events always fail holds up nobody else, reaches the limit, and
// goes to the poison queue; the user's later events go on.
func TestUsersAreIsolated(t *testing.T) {
	const users, each = 10, 20
	const last = `{"userId":"u0","last":true}`
	p := newProbe("only")
	p.fail = func(d destinations.Delivery) error {
		if d.Key == "u0" && string(d.Payload.Body) != last {
			return errors.New("this user always fails")
		}
		return nil
	}
	url, _ := start(t, "{kind: memory, partitions: 1}", p) // one partition: keys, not partitions, isolate
	for n := range each {
		for u := range users {
			if code, body := post(t, url+"/v1/events", fmt.Sprintf(`{"userId":"u%d","n":%d}`, u, n)); code != http.StatusAccepted {
				t.Fatalf("%d %s", code, body)
			}
		}
	}
	if code, body := post(t, url+"/v1/events", last); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	for _, d := range p.await(t, (users-1)*each+1) { // the last one may come before others: it waits for its user alone
		if d.Key == "u0" && string(d.Payload.Body) != last {
			t.Errorf("%s was delivered", d.Payload.Body)
		}
	}
	code, metrics := get(t, url+"/metrics")
	if want := fmt.Sprintf(`eventserver_poisoned_total{destination="only",reason="attempts"} %d`, each); code != http.StatusOK || !contains(metrics, want) {
		t.Errorf("metrics lack %s", want)
	}
}

// A shutdown in the middle of a backoff poisons nothing, and the event is
// delivered after the next start.
func TestShutdownDuringBackoffPoisonsNothing(t *testing.T) {
	broker := fmt.Sprintf("{kind: embedded, dir: %q}", t.TempDir())
	first := newProbe("d")
	tried := make(chan struct{}, 100)
	first.fail = func(destinations.Delivery) error { tried <- struct{}{}; return errors.New("not now") }
	url, stop := start(t, broker, first)
	if code, body := post(t, url+"/v1/events", `{"id":"e1","userId":"u"}`); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	<-tried
	stop()

	second := newProbe("d")
	url, _ = start(t, broker, second)
	if d := second.await(t, 1)[0]; d.EventID != "e1" {
		t.Errorf("got %s", d.EventID)
	}
	if _, metrics := get(t, url+"/metrics"); !contains(metrics, `eventserver_poisoned_total{destination="d",reason="attempts"} 0`) {
		t.Error("something was poisoned")
	}
}

// A transformation that fails poisons the event for its own destination only.
func TestFailedTransformPoisonsOneDestination(t *testing.T) {
	sound, broken := newProbe("sound"), newProbe("broken")
	broken.transform = func(context.Context, destinations.Event) error { panic("a bug in user code") }
	url, _ := start(t, "{kind: memory}", sound, broken)
	if code, body := post(t, url+"/v1/events", `{"id":"e1","userId":"u"}`); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	sound.await(t, 1)
	awaitMetric(t, url, `eventserver_poisoned_total{destination="broken",reason="transform"} 1`)
}
