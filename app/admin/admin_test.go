package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write docs/openapi.json anew")

// docs/openapi.json is generated: go test ./app/admin -run Document -args -update.
func TestDocumentIsUpToDate(t *testing.T) {
	const file = "../../docs/openapi.json"
	want, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says (%v): run make generate", file, err)
	}
}

// Every operation says what it is, which role it needs and how it fails.
func TestDocumentIsWhole(t *testing.T) {
	doc, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Security    []map[string][]string
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	if d.OpenAPI != "3.1.0" || len(d.Paths) == 0 {
		t.Errorf("openapi %q, %d paths", d.OpenAPI, len(d.Paths))
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			role := "write"
			if method == "get" {
				role = "read"
			}
			if op.Summary == "" || len(op.Security) != 1 || len(op.Security[0][scheme]) != 1 || op.Security[0][scheme][0] != role {
				t.Errorf("%s %s: summary %q, security %v", method, path, op.Summary, op.Security)
			}
			for _, status := range []string{"401", "403", "500"} {
				if op.Responses[status] == nil {
					t.Errorf("%s %s: no %s", method, path, status)
				}
			}
			if method != "get" && method != "post" {
				t.Errorf("%s %s: operations are GET and POST", method, path)
			}
		}
	}
}

type fixed string

func (f fixed) Redacted() string { return string(f) }

// running is a server of a test.
type running struct {
	*Server
	url  string
	log  *lockedBuffer
	stop func(context.Context) error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// started serves cfg.
func started(t *testing.T, cfg Config) *running {
	t.Helper()
	log := &lockedBuffer{}
	cfg.Addr = "127.0.0.1:0"
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	r := &running{Server: s, url: "http://" + s.Addr(), log: log}
	r.stop = func(ctx context.Context) error {
		err := s.Shutdown(ctx)
		if served := <-done; served != nil {
			t.Error(served)
		}
		done <- nil
		return err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = r.stop(ctx)
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

func token(name string, role Role, secrets ...string) Token {
	tok := Token{Name: name, Role: role}
	for _, s := range secrets {
		tok.SHA256 = append(tok.SHA256, sha256.Sum256([]byte(s)))
	}
	return tok
}

// ask sends a request; edit may change it.
func ask(t *testing.T, method, url, body string, edit func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if edit != nil {
		edit(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func bearer(s string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s) }
}

type changeInput struct {
	Body struct {
		Name string `json:"name" maxLength:"5"`
	}
}

// testOperations are what areas of later may do: change, fail, panic, wait.
func testOperations(waiting chan<- context.Context) func(huma.API) {
	return func(api huma.API) {
		register(api, changing("change", "/v1/change", "Change"), func(ctx context.Context, in *changeInput) (*struct{}, error) {
			Note(ctx, slog.String("name", in.Body.Name))
			switch in.Body.Name {
			case "fail":
				return nil, errors.New("the broker is away")
			case "gone":
				return nil, huma.Error404NotFound("there is no destination gone; GET /v1/destinations lists them")
			case "panic":
				panic("piece of an event")
			}
			return nil, nil
		})
		register(api, reading("wait", "/v1/wait", "Wait"), func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			waiting <- ctx
			<-ctx.Done()
			return nil, ctx.Err()
		})
		register(api, reading("payload", "/v1/payload", "Payload"), func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			return nil, NeedWrite(ctx, "payloads")
		})
	}
}

func TestRoles(t *testing.T) {
	s := started(t, Config{Configuration: fixed("a: 1\n"), more: testOperations(nil),
		Tokens: []Token{token("ann", Read, "reads", "reads-next"), token("bob", Write, "writes")}})
	for _, c := range []struct {
		name, method, path, token string
		status                    int
		detail                    string
	}{
		{"none", "GET", "/v1/config", "", 401, "this needs a token with role read"},
		{"unknown", "GET", "/v1/config", "other", 401, "this needs a token with role read"},
		{"the digest itself", "GET", "/v1/config", "5b11618c2e44027877d0cd0921ed166b9f176f50587fc91e7534dd2946db77d6", 401, "role read"},
		{"read", "GET", "/v1/config", "reads", 200, `"config":{"a":1}`},
		{"next", "GET", "/v1/config", "reads-next", 200, ""},
		{"write reads", "GET", "/v1/config", "writes", 200, ""},
		{"HEAD", "HEAD", "/v1/config", "reads", 200, ""},
		{"nobody writes", "POST", "/v1/change", "", 401, "this needs a token with role write"},
		{"read does not write", "POST", "/v1/change", "reads", 403, "the token ann has role read, and this needs role write"},
		{"write", "POST", "/v1/change", "writes", 204, ""},
		{"payload for read", "GET", "/v1/payload", "reads", 403, "payloads: the token ann has role read"},
		{"payload for write", "GET", "/v1/payload", "writes", 204, ""},
		{"document", "GET", "/openapi.json", "", 401, "role read"},
		{"document for read", "GET", "/openapi.json", "reads", 200, `"openapi": "3.1.0"`},
		{"nothing there", "GET", "/v1/nothing", "", 401, ""},
		{"nothing there for read", "GET", "/v1/nothing", "reads", 404, "GET /openapi.json lists what there is"},
		{"wrong method", "DELETE", "/v1/config", "writes", 405, "this path does not take DELETE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			edit := bearer(c.token)
			if c.token == "" {
				edit = nil
			}
			status, h, body := ask(t, c.method, s.url+c.path, `{"name":"x"}`, edit)
			if status != c.status || !strings.Contains(body, c.detail) {
				t.Errorf("got %d %s", status, body)
			}
			if kind := h.Get("Content-Type"); status >= 400 && kind != "application/problem+json" {
				t.Errorf("Content-Type %q", kind)
			}
			if got := h.Get("WWW-Authenticate") != ""; got != (status == 401) {
				t.Errorf("WWW-Authenticate: %v", got)
			}
			if status == 405 && strings.Join(h["Allow"], ",") != "GET" {
				t.Errorf("Allow %v", h["Allow"])
			}
		})
	}
	log := s.log.String()
	for _, want := range []string{`msg="admin operation" operation=change by=ann status=403`, `msg="admin operation" operation=change by=bob status=204 name=x`} {
		if strings.Count(log, want) != 1 {
			t.Errorf("not once in the log: %s", want)
		}
	}
	if n := strings.Count(log, "\n"); n != 2 || strings.Contains(log, "writes") {
		t.Errorf("%d lines:\n%s", n, log)
	}
}

// Without tokens everyone on this machine may do all, but no page of the web
// through a browser on it.
func TestGuardsWithoutTokens(t *testing.T) {
	s := started(t, Config{Configuration: fixed("a: 1\n"), more: testOperations(nil)})
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for _, c := range []struct {
		name, method, path string
		edit               func(*http.Request)
		status             int
	}{
		{"read", "GET", "/v1/config", nil, 200},
		{"write", "POST", "/v1/change", nil, 204},
		{"localhost", "GET", "/v1/config", host("localhost:9"), 200},
		{"IPv6", "GET", "/v1/config", host("[::1]"), 200},
		{"a name that means 127.0.0.1", "GET", "/v1/config", host("evil.example:8081"), 403},
		{"a name that looks like it", "GET", "/v1/config", host("127.0.0.1.evil.example"), 403},
		{"another machine", "GET", "/v1/config", host("192.0.2.1:8081"), 403},
		{"the document", "GET", "/openapi.json", host("evil.example"), 403},
		{"a form", "POST", "/v1/change", header("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"plain text", "POST", "/v1/change", header("Content-Type", "text/plain"), 415},
		{"text that hopes", "POST", "/v1/change", header("Content-Type", "text/plain; application/json"), 415},
		{"no type", "POST", "/v1/change", func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		{"another site", "POST", "/v1/change", header("Sec-Fetch-Site", "cross-site"), 403},
		{"another origin", "POST", "/v1/change", header("Origin", "http://localhost:3000"), 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, _, body := ask(t, c.method, s.url+c.path, `{"name":"x"}`, c.edit); status != c.status {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	if !strings.Contains(s.log.String(), "by=local status=204") {
		t.Error(s.log.String())
	}
}

func TestProblems(t *testing.T) {
	s := started(t, Config{more: testOperations(nil)})
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"area that is not there", "GET", "/v1/config", "", 501, "this server has no configuration to show"},
		{"unknown parameter", "GET", "/v1/config?verbose=1", "", 422, `"location":"query.verbose"`},
		{"no JSON", "POST", "/v1/change", `{"name":CANARY`, 400, `"location":"body"`},
		{"no body", "POST", "/v1/change", ``, 400, "request body is required"},
		{"too long", "POST", "/v1/change", `{"name":"CANARY"}`, 422, `"location":"body.name"`},
		{"unknown member", "POST", "/v1/change", `{"name":"x","CANARY":1}`, 422, "unexpected property"},
		{"twice", "POST", "/v1/change", `{"name":"x","name":"y"}`, 400, "duplicate"},
		{"other case", "POST", "/v1/change", `{"Name":"x"}`, 422, ""},
		{"too large", "POST", "/v1/change", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, 413, "too large"},
		{"failed", "POST", "/v1/change", `{"name":"fail"}`, 500, "the broker is away"},
		{"an answer of its own", "POST", "/v1/change", `{"name":"gone"}`, 404, "there is no destination gone"},
		{"panic", "POST", "/v1/change", `{"name":"panic"}`, 500, "the server made a mistake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, h, body := ask(t, c.method, s.url+c.path, c.body, nil)
			if status != c.status || !strings.Contains(body, c.want) || h.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %s %s", status, h.Get("Content-Type"), body)
			}
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			if err := json.Unmarshal([]byte(body), &p); err != nil || p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status || p.Detail == "" {
				t.Errorf("%v: %s", err, body)
			}
			if strings.Contains(body, "piece") || strings.Contains(body, `"value"`) {
				t.Errorf("echoes: %s", body)
			}
		})
	}
	log := s.log.String()
	if !strings.Contains(log, "level=ERROR msg=\"an admin request failed\" panic=string stack=") || strings.Contains(log, "piece of an event") {
		t.Error(log)
	}
	if !strings.Contains(log, "operation=change by=local status=500 name=panic") {
		t.Error(log)
	}
}

// What an operation uses may be closed when Shutdown has returned.
func TestShutdownWaitsForOperations(t *testing.T) {
	waiting := make(chan context.Context, 1)
	s := started(t, Config{more: testOperations(waiting)})
	answered := make(chan error, 1)
	go func() { answered <- (&Client{BaseURL: s.url}).Get(context.Background(), "/v1/wait", nil, nil) }()
	ctx := <-waiting
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.stop(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if ctx.Err() == nil {
		t.Error("the operation goes on")
	}
	if err := <-answered; err == nil {
		t.Error("answered")
	}
}

func TestStart(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "admin.addr: missing"},
		{Config{Addr: "127.0.0.1:0", Tokens: []Token{{Name: "ann", Role: "admin"}}}, `admin.tokens: "ann" needs a name, a digest and a role`},
	} {
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	s, err := New(Config{Addr: "0.0.0.0:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "can be reached from other machines and there are no admin.tokens") {
		t.Errorf("open to all: %v", err)
	}
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s, err = New(Config{Addr: taken.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "give another admin.addr") {
		t.Errorf("taken: %v", err)
	}
	if err := errors.Join(s.Shutdown(t.Context()), s.Shutdown(t.Context())); err != nil {
		t.Errorf("before Listen, twice: %v", err)
	}
}
