package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/app/config"
)

// shell runs a command line.
func shell(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	err = run(t.Context(), args, &out, io.Discard)
	return out.String(), err
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The flags of send reach the server: what is posted, as whom, and what is printed.
func TestSendCommand(t *testing.T) {
	var bodies, auths []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies, auths = append(bodies, string(body)), append(auths, r.Header.Get("Authorization"))
		ids := strings.Repeat(`,"e"`, strings.Count(string(body), `"type"`))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"ids":[`+ids[1:]+`]}`)
	}))
	defer srv.Close()
	key := file(t, "  s3cret\n")
	events := file(t, "{}\n{\"n\":2,\"key\":\"b\"}\n{}")
	cfg := file(t, "http: {addr: '"+strings.TrimPrefix(srv.URL, "http://")+"'}\nschemas: {dir: ../../schemas}\ndestinations: []")
	for _, c := range []struct {
		args   []string
		out    string
		bodies []string
	}{
		{[]string{"--url", srv.URL, "--type", "t", "--key", "a", "--batch", "2", "--api-key-file", key, events}, "e\ne\ne\n",
			[]string{`[{"type":"t","key":"a"},{"type":"t","n":2,"key":"b"}]`, `[{"type":"t","key":"a"}]`}},
		{[]string{"--config", cfg, "--type", "t", "--id", "e1", "--quiet", file(t, "[{}]")}, "1\n", []string{`[{"id":"e1","type":"t"}]`}},
		{[]string{"--config", cfg, "--type", "t", "--quiet", file(t, "")}, "0\n", nil},
		{[]string{"--config", cfg, "--type", "order.placed", "--example"}, "e\ne\n", nil},
	} {
		bodies = nil
		out, err := shell(t, append([]string{"send"}, c.args...)...)
		if err != nil || out != c.out {
			t.Errorf("%q: %q, %v", c.args, out, err)
		}
		if c.bodies != nil && strings.Join(bodies, "\n") != strings.Join(c.bodies, "\n") {
			t.Errorf("%q posted %q", c.args, bodies)
		}
	}
	if len(bodies) != 1 || strings.Count(bodies[0], `{"type":"order.placed",`) != 2 {
		t.Errorf("the examples came as %q", bodies)
	}
	if auths[0] != "Bearer s3cret" || auths[len(auths)-1] != "" {
		t.Errorf("keys %q", auths)
	}
}

func TestShellFaults(t *testing.T) {
	empty, two := file(t, "\n"), file(t, "s3cret other")
	for _, c := range []struct {
		args  string
		usage bool
		want  string
	}{
		{"send", true, "send: give one FILE, - for standard input, or --example"},
		{"send FILE --type t", false, "open FILE: no such file or directory"},
		{"send --example", true, "send: --example needs --type"},
		{"send --example --type t FILE", true, "send: give --example or a FILE, not both"},
		{"send --batch 0 FILE", true, "send: --batch is at least 1, --retries at least 0"},
		{"send --nope", true, "send: there is no flag --nope; did you mean --type?"},
		{"send --api-key-file " + empty + " -", false, "--api-key-file: " + empty + " does not hold one key: a line without spaces, in ASCII"},
		{"send --api-key-file " + two + " -", false, "--api-key-file: " + two + " does not hold one key: a line without spaces, in ASCII"},
		{"send none.json", false, "open none.json: no such file or directory"},
		{"tail FILE", true, `tail: "FILE" is one argument too many; write: eventserver tail [flags]`},
		{"tail --poison", false, "--poison: say whose poison queue, with --destination ID"},
	} {
		out, err := shell(t, strings.Fields(c.args)...)
		if err == nil || err.Error() != c.want || errors.As(err, new(usageError)) != c.usage || out != "" {
			t.Errorf("%s: %v, prints %q", c.args, err, out)
		}
	}
	if err := run(context.Background(), []string{"send", "--example", "--type", "t"}, io.Discard, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "--example: ") {
		t.Error(err)
	}
}

func TestExamples(t *testing.T) {
	cfg := config.Default()
	if _, err := examplesOf(cfg, "order.placed"); err == nil || !strings.Contains(err.Error(), "schemas") { // there is no ./schemas here
		t.Error(err)
	}
	cfg.Schemas = &config.Schemas{Dir: "../../schemas"}
	if got, err := examplesOf(cfg, "order.placed"); err != nil || len(got) != 2 {
		t.Errorf("%d, %v", len(got), err)
	}
	if _, err := examplesOf(cfg, "order.paid"); err == nil || err.Error() != `there is no schema of type "order.paid" in ../../schemas, which has order.placed, user.signed_up` {
		t.Error(err)
	}
}
