package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A command beside the server does without the variables, secrets and files that
// it does not need, and names the ones that it does.
func TestCommandsNeedLittle(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/v1/events" {
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"ids":["e"]}`))
			return
		}
		if r.URL.Path == "/v1/tail" {
			w.Header().Set("Content-Type", "application/x-ndjson")
			_, _ = w.Write([]byte(`{"started":{"topic":"events","partitions":1}}` + "\n" + `{"end":{"reason":"count"}}` + "\n"))
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	const rest = `
traces: {endpoint: "${N_TRACES}"}
destinations:
- {id: crm, kind: webhook, url: "${N_URL}", secret: "${N_SECRET}", headers: {Authorization: "${N_TOKEN}"}, ca_file: /no/such.pem}
- {id: b, kind: webhook, url: http://example.com, secret_file: /no/such/secret, filter: event.type == "a"}
`
	cfg := file(t, "http: {addr: '"+addr+"', keys: [{name: a, sha256: ['${N_DIGEST}']}]}\nadmin: {addr: '"+addr+"'}\n"+
		"broker: {dir: /dev/null/data, kind: embedded}\n"+rest)
	event := file(t, `{"type":"a","userId":"u","data":{}}`)
	for _, args := range []string{
		"destinations", "poison counts", "poison list", "poison show e", "explain e --key u", "config", "reload",
		"pause crm", "resume crm", "replay crm --since 1h --dry-run", "health", "tail", "send --quiet " + event, "transform --destination b " + event,
	} {
		if _, err := shell(t, append(strings.Fields(args), "--config", cfg)...); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
	needy := file(t, "http: {addr: '${N_ADDR}'}\nadmin: {addr: '127.0.0.1:1'}\nbroker: {kind: kafka, brokers: ['${N_BROKER}']}\n"+rest)
	for args, want := range map[string]string{
		"health": "N_ADDR", "send " + event: "N_ADDR", "tail": "N_BROKER", "destinations --admin=": "N_ADDR", "poison counts": "N_ADDR", "send --broker " + event: "N_BROKER",
	} {
		if _, err := shell(t, append(strings.Fields(args), "--config", needy)...); err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), "environment variable "+want+" is not set") {
			t.Errorf("%s: %v", args, err)
		}
	}
	// What the server is started with, and check, want everything.
	if _, err := shell(t, "check", "--config", cfg); err == nil || strings.Count(err.Error(), "\n") < 6 {
		t.Errorf("check: %v", err)
	}
	t.Setenv("N_CONFIG", "http: {addr: '"+addr+"'}\nadmin: {addr: '"+addr+"'}\ndestinations: []\n")
	for _, args := range []string{"destinations", "config", "health"} {
		if _, err := shell(t, args, "--config", "env:N_CONFIG"); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
	for _, args := range []string{"send", "transform --destination a"} {
		if _, err := shell(t, append(strings.Fields(args), "--config", "-", "-")...); err == nil || !strings.Contains(err.Error(), "not both") {
			t.Errorf("%s: %v", args, err)
		}
	}
}
