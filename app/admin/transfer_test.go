package admin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// hold opens a connection that sends text and then nothing.
func hold(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil { // what is not read here, the server keeps
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// Sixty-four clients that sent no end of a body locked the operators out, with
// 429, for half a minute, and again. So did those that took no answer.
func TestSlowClientsLockNobodyOut(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 3<<20) // TestRequestsWaitForASlot has answers that take long
	more := func(api huma.API) {
		type in struct{ Body map[string]any }
		register(api, changing("change", "/v1/change", "Change"), func(context.Context, *in) (*struct{}, error) { return nil, nil })
		type out struct{ Body []byte }
		register(api, reading("large", "/v1/large", "Large"), func(context.Context, *struct{}) (*out, error) {
			return &out{large}, nil
		})
	}
	for _, tokens := range []int{0, 1} {
		for name, text := range map[string]string{
			"no byte of a body":   "POST /v1/change HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAUTHContent-Length: 100\r\n\r\n",
			"half a body":         "POST /v1/change HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAUTHContent-Length: 100\r\n\r\n{\"a\":",
			"half a chunk":        "POST /v1/change HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAUTHTransfer-Encoding: chunked\r\n\r\n64\r\n{",
			"expect a go-ahead":   "POST /v1/change HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAUTHExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
			"a body on a GET":     "GET /v1/build HTTP/1.1\r\nHost: 127.0.0.1\r\nAUTHContent-Length: 100\r\n\r\n",
			"a body to no path":   "POST /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nAUTHContent-Length: 100\r\n\r\n",
			"half a header":       "POST /v1/change HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A",
			"an answer not taken": "GET /v1/large HTTP/1.1\r\nHost: 127.0.0.1\r\nAUTH\r\n",
			"nothing":             "",
		} {
			t.Run(fmt.Sprintf("%d tokens, %s", tokens, name), func(t *testing.T) {
				t.Parallel()
				cfg := Config{more: more}
				auth, edit := "", bearer("")
				if tokens > 0 {
					cfg.Tokens = []Token{token("ops", Write, "writes")}
					auth, edit = "Authorization: Bearer writes\r\n", bearer("writes")
				}
				url := started(t, cfg).url
				addr := strings.TrimPrefix(url, "http://")
				for range maxRequests + 32 {
					hold(t, addr, strings.ReplaceAll(text, "AUTH", auth))
				}
				for range 3 {
					for _, c := range []struct{ method, path, body string }{{"GET", "/v1/build", ""}, {"POST", "/v1/change", "{}"}, {"GET", "/v1/large", ""}} {
						status, _, body := ask(t, c.method, url+c.path, c.body, edit)
						if status/100 != 2 {
							t.Errorf("%s %s: %d %.200s", c.method, c.path, status, body)
						}
					}
				}
			})
		}
	}
}

// Idle connections were kept for minutes, as many as came, tokens or not: they
// took the memory and the file descriptors of the whole process.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           "",
		"half a head":       "GET /v1/build HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A",
		"no byte of a body": "POST /v1/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := started(t, Config{}).url
			addr := strings.TrimPrefix(url, "http://")
			first := hold(t, addr, text)
			for range maxConns {
				hold(t, addr, text)
			}
			if status, _, body := ask(t, "GET", url+"/v1/build", "", nil); status != 200 {
				t.Errorf("%d %.200s", status, body)
			}
			_, _ = io.Copy(io.Discard, first) // ends with the connection
		})
	}
}

// Who is not known is answered before a byte of the body has come, and the
// connection ends.
func TestUnknownCallerIsRefusedBeforeTheBody(t *testing.T) {
	url := started(t, Config{Tokens: []Token{token("ops", Write, "writes")}}).url
	for _, head := range []string{
		"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
		"POST /v1/reload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer other\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"GET /v1/build HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
	} {
		c := hold(t, strings.TrimPrefix(url, "http://"), head)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized || !resp.Close || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d, close %v", head, resp.StatusCode, resp.Close)
		}
	}
}

// Every answer says that it is kept nowhere and is what its type says.
func TestEveryAnswerIsMarked(t *testing.T) {
	url := started(t, Config{Tokens: []Token{token("ops", Write, "writes"), token("look", Read, "reads")}}).url
	for _, c := range []struct {
		method, path, body, token string
		status                    int
	}{
		{"GET", "/v1/build", "", "writes", 200}, {"HEAD", "/v1/build", "", "writes", 200}, {"GET", "/openapi.json", "", "reads", 200},
		{"GET", "/v1/build", "", "", 401}, {"GET", "/openapi.json", "", "x", 401}, {"POST", "/v1/reload", "{}", "reads", 403}, {"GET", "/nothing", "", "reads", 404},
		{"DELETE", "/v1/build", "", "writes", 405}, {"GET", "/v1/build?x=1", "", "writes", 422}, {"GET", "/v1/config", "", "writes", 501},
		{"POST", "/v1/reload", strings.Repeat("x", maxBody+1), "writes", 413},
	} {
		req := httptest.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
		req.RequestURI = ""
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d, want %d, %v", c.method, c.path, resp.StatusCode, c.status, resp.Header)
		}
	}
}
