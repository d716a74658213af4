package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"eventserver/app/access"
	"eventserver/destinations/cause"
)

// DefaultURL is where a server with the default addresses listens.
const DefaultURL = "http://127.0.0.1:8081"

// Client asks the admin API of a running server. Many goroutines may use it.
type Client struct {
	BaseURL string // such as http://127.0.0.1:8081
	Token   string // none where the server has no tokens
	Agent   string // the User-Agent; "": Go's own
	// HTTP sends the requests; default: no redirects, which would carry the
	// token elsewhere, and no limit but the context's.
	HTTP *http.Client

	silence time.Duration // of a tail's server, of tests
}

// ErrNoServer is the error of a request for which no server could be reached.
var ErrNoServer = errors.New("no server answers")

// Error is an answer that is no success.
type Error struct {
	Status int
	Detail string // what the server says about it, in one line
	url    string
	token  bool // one was sent
}

// Error implements error. It tells what to do where the client knows it.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s answered %d: %s", e.url, e.Status, e.Detail)
	switch e.Status {
	case http.StatusForbidden:
		if !e.token { // who sent none is refused for the address or the origin
			break
		}
		fallthrough
	case http.StatusUnauthorized:
		text += "; give the token with --token or EVENTSERVER_ADMIN_TOKEN"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		text += "; try again"
	}
	return text
}

// maxAnswer bounds what is read of an answer: lists are given in pages.
const maxAnswer = 64 << 20

// Get reads path into out, a pointer.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, out)
}

// Post sends in, nil for nothing, to path and reads the answer into out, a
// pointer or nil. It is sent once: whether to ask again is the caller's.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	if in == nil {
		return c.do(ctx, http.MethodPost, path, nil, out)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, body, out)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, out any) error {
	a, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer a.close()
	switch {
	case out == nil:
		return nil
	case !access.JSONType(a.resp.Header.Get("Content-Type")):
		return notAdmin(a.base)
	}
	answer, err := a.read()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the answer of %s is not understood: %w; use a command of the server's version", a.base, err)
	}
	return nil
}

// asked is an answer that is a success.
type asked struct {
	resp  *http.Response
	base  string // the server's URL
	close func()
}

// read reads the whole answer.
func (a *asked) read() ([]byte, error) {
	answer, err := io.ReadAll(io.LimitReader(a.resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer of %s broke off: %w", a.base, cause.Of(err))
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s is larger than %d bytes; ask for less", a.base, maxAnswer)
	}
	return answer, nil
}

// ask sends a request. The caller closes what it returns.
func (c *Client) ask(ctx context.Context, method, path string, body []byte) (_ *asked, err error) {
	base, err := baseURL(c.BaseURL)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if c.Agent != "" {
		req.Header.Set("User-Agent", c.Agent)
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return nil, errors.New("the token has a space or a character that is not ASCII; give the token alone")
		}
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client, idle := c.HTTP, func() {}
	if client == nil {
		client = plainClient()
		idle = client.CloseIdleConnections
	}
	resp, err := client.Do(req) //nolint:bodyclose // asked.close does
	if err != nil {
		idle()
		return nil, unreachable(ctx, base, err)
	}
	a := &asked{resp: resp, base: base, close: func() { _ = resp.Body.Close(); idle() }} // it was read
	if resp.StatusCode/100 == 2 {
		return a, nil
	}
	defer a.close()
	answer, err := a.read()
	if err != nil {
		return nil, err
	}
	return nil, problemOf(resp, base, answer)
}

func plainClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// baseURL is what paths are put behind. The text is not shown where it may hold
// a password.
func baseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !askable(u.Port()) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the URL of the admin API is not one; write it as " + DefaultURL + ", and a token with --token or EVENTSERVER_ADMIN_TOKEN")
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// askable reports whether a server can have the port; "" is the scheme's own. One
// that nobody can have is a mistyped URL, and not a server that is down.
func askable(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// unreachable explains why there is no answer. Only a connection that was never
// made is ErrNoServer: after that the server may have done what it was asked.
func unreachable(ctx context.Context, base string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("%w at %s (%w); start eventserver, or give its admin.addr with --admin or its --config", ErrNoServer, base, cause.Of(dial))
	}
	return fmt.Errorf("%s gave no answer: %w; is it the admin.addr of an eventserver?", base, cause.Of(err))
}

func notAdmin(base string) error {
	return fmt.Errorf("what answers at %s is not the admin API of an eventserver of this version; give its admin.addr with --admin", base)
}

// problemOf is the error in an answer that is no success.
func problemOf(resp *http.Response, base string, answer []byte) error {
	var p struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if kind != "application/problem+json" || json.Unmarshal(answer, &p) != nil || p.Detail == "" {
		return fmt.Errorf("answer %d: %w", resp.StatusCode, notAdmin(base))
	}
	for i, e := range p.Errors {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		if e.Location != "" {
			e.Message = e.Location + ": " + e.Message
		}
		p.Detail += sep + e.Message
	}
	return &Error{Status: resp.StatusCode, Detail: p.Detail, url: base, token: resp.Request != nil && resp.Request.Header.Get("Authorization") != ""}
}
