package webhook

import (
	"encoding/base64"
	"encoding/pem"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eventserver/destinations"
)

func writeCA(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigFaults(t *testing.T) {
	const ok = "https://example.com/x"
	raw := func(n int) destinations.Secret {
		return destinations.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(canary, 10)[:n])))
	}
	for name, c := range map[string]struct {
		cfg  Config
		want string // "" for none
	}{
		"least":            {Config{URL: ok}, ""},
		"query":            {Config{URL: ok + "?a=b"}, ""},
		"secrets":          {Config{URL: ok, Secret: raw(24), SecretNext: raw(64)}, ""},
		"proxy":            {Config{URL: ok, Proxy: "http://u:p@proxy:3128", AllowPrivate: true}, ""},
		"no url":           {Config{}, "url: is missing"},
		"scheme":           {Config{URL: "ftp://example.com"}, `url: scheme "ftp" is not http or https; write one such as https://example.com/events`},
		"no scheme":        {Config{URL: "example.com/x"}, `url: scheme "" is not http or https; write one such as https://example.com/events`},
		"token for scheme": {Config{URL: canary + ":" + canary}, `url: scheme "" is not http or https; write one such as https://example.com/events`},
		"no host":          {Config{URL: "http:///x"}, "url: has no host"},
		"userinfo":         {Config{URL: "https://me:" + canary + "@example.com"}, "url: holds credentials; give them in headers"},
		"fragment":         {Config{URL: ok + "#a"}, "url: has a fragment"},
		"not a url":        {Config{URL: "https://" + canary + "%zz"}, "url: is not a URL"},
		"method":           {Config{URL: ok, Method: "GET"}, `method: "GET" is not POST, PUT or PATCH; write one of these`},
		"no prefix":        {Config{URL: ok, Secret: canary}, "secret: does not start with whsec_"},
		"no base64":        {Config{URL: ok, Secret: "whsec_" + canary + "!"}, "secret: is not base64"},
		"short":            {Config{URL: ok, Secret: raw(23)}, "secret: is 23 bytes long; give 24 to 64"},
		"long":             {Config{URL: ok, Secret: raw(24), SecretNext: raw(65)}, "secret_next: is 65 bytes long"},
		"only next":        {Config{URL: ok, SecretNext: raw(24)}, "secret_next: is given without secret"},
		"our header":       {Config{URL: ok, Headers: map[string]string{"webhook-id": canary}}, "headers.webhook-id: is set by the server"},
		"idempotency":      {Config{URL: ok, Headers: map[string]string{"idempotency-KEY": canary}}, "headers.idempotency-KEY: is set by the server"},
		"host":             {Config{URL: ok, Headers: map[string]string{"host": canary}}, "headers.host: is set by the server"},
		"header name":      {Config{URL: ok, Headers: map[string]string{"a b": canary}}, `headers: "a b" is not a header name; write letters, digits and -, such as X-Shop`},
		"header value":     {Config{URL: ok, Headers: map[string]string{"A": canary + "\n"}}, "headers.A: has a control character"},
		"header twice":     {Config{URL: ok, Headers: map[string]string{"x-a": "1", "X-A": "2"}}, "headers.x-a: is the same header as X-A"},
		"status":           {Config{URL: ok, PermanentStatus: []int{400, 200}}, "permanent_statuses[1]: 200 is not a status of a failure"},
		"response":         {Config{URL: ok, MaxResponseBytes: -1}, "max_response_bytes: -1 is negative; give 1 or more, or delete it"},
		"wait":             {Config{URL: ok, MaxRetryAfter: -time.Second}, "max_retry_after: -1s is negative; give a wait such as 1h"},
		"conns":            {Config{URL: ok, MaxIdleConns: -1}, "max_idle_conns: -1 is negative; give 1 or more, or delete it"},
		"guarded proxy":    {Config{URL: ok, Proxy: "http://" + canary + "@proxy"}, "proxy: hides the receiver's address"},
		"port":             {Config{URL: "https://h:70000/" + canary}, "url: has a port that is not between 1 and 65535; write one such as https://example.com/events"},
		"proxy port":       {Config{URL: ok, Proxy: "http://proxy:0", AllowPrivate: true}, "proxy: has a port that is not between 1 and 65535"},
		"odd host":         {Config{URL: "https://a..b/" + canary}, "url: has a host that is no name and no IP address"},
		"proxy scheme":     {Config{URL: ok, Proxy: "ftp://proxy", AllowPrivate: true}, `proxy: scheme "ftp" is not http or https or socks5; write one such as http://proxy.example.com:3128`},
		"no proxy host":    {Config{URL: ok, Proxy: "http:///x", AllowPrivate: true}, "proxy: has no host; write one such as http://proxy.example.com:3128"},
		"no ca file":       {Config{URL: ok, CAFile: "/nonexistent"}, "ca_file: cannot be read: no such file"},
		"other ca file":    {Config{URL: ok, CAFile: "config_test.go"}, "ca_file: holds no certificate"},
		"device ca file":   {Config{URL: ok, CAFile: "/dev/null"}, "ca_file: cannot be read: is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New("shop", c.cfg)
			switch {
			case err == nil && c.want != "":
				t.Errorf("no error, want %q", c.want)
			case err != nil && (c.want == "" || !strings.HasPrefix(err.Error(), c.want)):
				t.Errorf("error %q, want %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), canary):
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestAllConfigFaultsAtOnce(t *testing.T) {
	err := Config{URL: "ftp://x", Method: "GET", Secret: "x"}.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("%v", err)
	}
}

func TestSnippetIsOneCleanLine(t *testing.T) {
	got := snippet("a\x1b[31m\r\nb\x00\u202ec\xff\t " + strings.Repeat("é", 2000))
	if !strings.HasPrefix(got, "a [31m b c\uFFFD é") || len(got) > snippetBytes || len(got) < snippetBytes-4 {
		t.Errorf("%d bytes: %.40q", len(got), got)
	}
}

func TestSnippetHidesSecrets(t *testing.T) {
	cfg := Config{
		URL: "https://example.com/?token=" + canary + "%21", Secret: secretOf("a"), Proxy: "http://u:pr0xy-pass@proxy",
		Headers: map[string]string{"Authorization": "Bearer b3arer-token", "X-Short": "ab"},
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := newRedactor(cfg, u)
	for in, want := range map[string]string{
		"got Bearer b3arer-token ab": "got [secret] ab",
		"token b3arer-token":         "token [secret]",
		"?token=" + canary + "%21":   "?[secret]",
		"decoded " + canary + "!":    "decoded [secret]",
		cfg.Secret.Reveal():          "[secret]",
		cfg.Secret.Reveal()[6:]:      "[secret]",
		"pr0xy-pass":                 "[secret]",
	} {
		if got := snippet(r.Text(in, false)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := snippet(r.Text("reading stopped in it: b3arer-toke", true)); got != "reading stopped in it:" {
		t.Error(got)
	}
}
