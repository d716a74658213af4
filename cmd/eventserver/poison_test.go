package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"eventserver/app/admin"
	"eventserver/router/poison"
)

// poisonAPI answers as a server would, and remembers what it was asked.
type poisonAPI struct {
	asked []string
	order poison.Order
	left  int // answers that a run goes on
}

func (p *poisonAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked = append(p.asked, r.Method+" "+r.URL.String())
	item := poison.Item{Destination: "shop", Position: "3:17", EventID: "e1", Key: "a\x1b[2J", Type: "order.placed", Stage: "deliver", Class: "receiver",
		Reason: "permanent", Detail: "422: no\u202esuch field", Attempts: 1, Last: time.Now().Add(-90 * time.Second), Size: 7}
	run := poison.Run{ID: "r1", Action: "redrive", State: "done", Redriven: 2, Failed: 1, Problems: []poison.Problem{{Destination: "shop", Position: "3:17", EventID: "e1", Why: "transform again: no"}}}
	var answer any
	switch path := r.URL.Path; {
	case path == "/v1/poison":
		answer = poison.Page{Items: []poison.Item{item}, Next: "shop/3:18"}
	case path == "/v1/poison/counts":
		answer = poison.Counts{Count: 3, Destinations: []poison.Total{{Destination: "shop", Count: 3, Oldest: item.Last, Newest: item.Last,
			Reasons: []poison.Count{{Class: "receiver", Reason: "age", Count: 1}, {Class: "pipeline", Reason: "schema", Count: 2}}}, {Destination: "log"}}}
	case strings.HasPrefix(path, "/v1/poison/") && r.Method == http.MethodGet:
		answer = poison.Found{Records: []poison.Record{{Item: item, Headers: map[string]string{"ce_id": "e1"}, Data: json.RawMessage(`{"n":1}`)}}}
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		p.order = poison.Order{}
		_ = json.Unmarshal(body, &p.order)
		if strings.HasSuffix(path, "/discard") {
			run = poison.Run{ID: "r1", Action: "discard", DryRun: p.order.DryRun, State: "done", Discarded: 5, Destinations: []string{"shop"}}
		}
		fallthrough
	default:
		if p.left--; p.left >= 0 {
			run.State = "running"
		}
		answer = run
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func TestPoisonCommands(t *testing.T) {
	api := &poisonAPI{}
	srv := httptest.NewServer(api)
	defer srv.Close()
	command := func(args ...string) (string, error) {
		return shell(t, append(append([]string{"poison"}, args...), "--admin", srv.URL)...)
	}
	check := func(out string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%q is not in\n%s", w, out)
			}
		}
		if strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("the terminal would obey it: %q", out)
		}
	}
	out, err := command("list", "--destination", "shop", "--class", "receiver", "--since", "1h", "--key", "a b")
	check(out, err, `shop         3:17      e1     "a\x1b[2J"  order.placed  receiver  permanent  1         1m30s  0         422: no\u202esuch field`)
	if want := "GET /v1/poison?destination=shop&key=a+b&limit=100&reason_class=receiver&since=1h"; api.asked[len(api.asked)-1] != want {
		t.Errorf("asked %s, want %s", api.asked[len(api.asked)-1], want)
	}
	out, err = command("list", "--json")
	var page poison.Page
	if err != nil || json.Unmarshal([]byte(out), &page) != nil || page.Items[0].Detail != "422: no\u202esuch field" || page.Next != "shop/3:18" {
		t.Errorf("%s, %v", out, err)
	}
	out, err = command("counts")
	check(out, err, "shop         receiver  age     1      1m30s   1m30s\nshop         pipeline  schema  2 ", "log          -         -       0", "all                            3")
	out, err = command("show", "e/1")
	check(out, err, "event        e1", "shop, at 3:17 of its poison queue", "(receiver: permanent) after 1 attempt", "settled      no: it waits for an operator", `{"n":1}`)
	if want := "GET /v1/poison/-/e%2F1"; api.asked[len(api.asked)-1] != want {
		t.Errorf("asked %s, want %s", api.asked[len(api.asked)-1], want)
	}

	api.left = 2
	out, err = command("redrive", "--destination", "shop", "--rate", "5")
	check(out, err, "redrive done: 2 redriven; 1 failed again and stay\nleft: shop 3:17 e1: transform again: no\n")
	if *api.order.Rate != 5 || *api.order.MaxRedrives != 3 || api.order.Destination != "shop" || api.order.All {
		t.Errorf("ordered %+v", api.order)
	}
	out, err = command("discard", "--reason", "schema", "--yes")
	check(out, err, "discard done: 5 discarded\n")
	if api.order.DryRun || api.order.Reason != "schema" {
		t.Errorf("ordered %+v", api.order)
	}
	out, err = command("discard", "--all", "--dry-run")
	check(out, err, "discard done: 5 would be discarded\n")

	// A command that nobody can answer does not discard.
	err = confirm(t.Context(), admin.PoisonClient{Client: &admin.Client{BaseURL: srv.URL}}, poison.Order{Action: "discard"}, pipe(t), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "5 items are meant, and nobody can be asked; see them with --dry-run, and say --yes") || !api.order.DryRun {
		t.Errorf("%v, %+v", err, api.order)
	}
}

// What the poison queue has no room for is told where an operator looks.
func TestPoisonTextsOfWhatIsLeftOut(t *testing.T) {
	item := poison.Item{Destination: "shop", Position: "3:17", EventID: "e1", Detail: "no", Size: 5 << 20, LeftOut: []string{"body", "headers"}, Source: "events/3:9"}
	var out strings.Builder
	if err := poisonTable(&out, []poison.Item{item}, time.Now()); err != nil || !strings.Contains(out.String(), "[without body, headers] no") {
		t.Errorf("%s %v", out.String(), err)
	}
	for gone, want := range map[string]string{
		"":                      "left out     body, headers: larger than the broker takes; read from events/3:9\n",
		"the topic was deleted": "left out     body, headers: larger than the broker takes; events/3:9 does not have it any more: the topic was deleted\n",
	} {
		out.Reset()
		if err := poisonRecords(&out, poison.Found{Records: []poison.Record{{Item: item, Gone: gone}}}, time.Now()); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %s %v", want, out.String(), err)
		}
	}
}

// Ctrl-C while the server had not told yet which run it began left that run going,
// with nobody who knew its id.
func TestInterruptedRedriveIsStopped(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	var order poison.Order
	stopped := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		run := poison.Run{ID: "r1", Action: "redrive", State: "running"}
		if strings.HasSuffix(r.URL.Path, "/stop") {
			stopped, run.State = r.URL.Path, "stopped"
		} else {
			body, _ := io.ReadAll(r.Body)
			_ = json.Unmarshal(body, &order)
			interrupt()
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(run)
	}))
	defer srv.Close()
	err := run(ctx, []string{"poison", "redrive", "--all", "--admin", srv.URL}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "redrive was stopped; begun again it goes on with what is left") || stopped != "/v1/poison-runs/r1/stop" {
		t.Errorf("%v, stopped by %q", err, stopped)
	}
	if order.Wait == nil || *order.Wait > 1 {
		t.Errorf("an interrupt has to wait for %v s", order.Wait)
	}
}

func pipe(t *testing.T) *os.File {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r
}

func TestPoisonUsage(t *testing.T) {
	for args, want := range map[string]string{
		"poison":                     "poison: name a command: list, counts, show, redrive, discard",
		"poison purge":               `there is no command "poison purge"`,
		"poison show":                "write: eventserver poison show EVENT_ID|PARTITION:OFFSET [flags]",
		"poison list --limit 0":      "--limit: 1 to 1000; --after goes on",
		"poison list e1":             `poison list: "e1" is one argument too many`,
		"poison redrive --rate fast": `--rate: "fast" is no number`,
	} {
		_, err := shell(t, strings.Fields(args)...)
		if err == nil || !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if out, err := shell(t, "poison", "help"); err != nil || !strings.Contains(out, "redrive       send it on again") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What a dry run of a redrive would leave was shown as if it had been done.
func TestADryRunSaysWhatWouldBe(t *testing.T) {
	for dry, want := range map[bool]string{
		false: "redrive done: 1 redriven; 2 failed again and stay; 3 refused: redriven too often before; 4 left behind an earlier item of their key\n",
		true:  "redrive done: 1 would be redriven; 2 would fail again and stay; 3 would be refused: redriven too often before; 4 would be left behind an earlier item of their key\n",
	} {
		var b strings.Builder
		r := poison.Run{Action: "redrive", State: "done", DryRun: dry, Redriven: 1, Failed: 2, Refused: 3, Behind: 4}
		if err := poisonRunText(&b, r, time.Now()); err != nil || b.String() != want {
			t.Errorf("dry %v: %v\n%s", dry, err, b.String())
		}
	}
}
