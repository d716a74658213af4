package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// source is a Tailing whose Run is run.
type source func(ctx context.Context, record func([]byte) error, warn func(error) error) error

func (f source) Tail(_ context.Context, q TailQuestion) (*Tail, error) {
	if q.Destination == "nope" {
		return nil, NotFound("topic dest.nope does not exist")
	}
	return &Tail{TailStarted: TailStarted{Topic: "events", Partitions: 4}, Run: f}, nil
}

// forever waits for the end.
func forever(ctx context.Context, _ func([]byte) error, _ func(error) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// endless shows records for as long as they are taken, and tells why not.
func endless(end chan<- error) source {
	line := []byte(`{"data":"` + strings.Repeat("x", 64<<10) + `"}`)
	return func(_ context.Context, record func([]byte) error, _ func(error) error) error {
		for {
			if err := record(line); err != nil {
				end <- err
				return err
			}
		}
	}
}

// awaits polls until ok.
func awaits(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) { //nolint:forbidigo // a poll
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come in 30 s", what)
		}
	}
}

func TestTailShowsWhatComes(t *testing.T) {
	const record = `{"id":"e<1>","data":{"a":1.0,"b":"\u009b\u2028"}}`
	s := started(t, Config{Tokens: []Token{token("ann", Read, "reads"), token("bob", Write, "writes")},
		Tailing: source(func(_ context.Context, show func([]byte) error, warn func(error) error) error {
			return errors.Join(show([]byte(record)), warn(errors.New("partition 1 is away")), show([]byte(record)))
		})})
	c := &Client{BaseURL: s.url, Token: "writes"}
	for _, format := range []string{TailJSON, TailText} {
		var got []string
		err := c.Tail(t.Context(), TailQuestion{Format: format, Payload: true, Count: 2, Key: "k", From: "10m"}, TailReader{
			Started: func(s TailStarted) { got = append(got, fmt.Sprint(s)) },
			Record:  func(line []byte) error { got = append(got, string(line)); return nil },
			Warn:    func(text string) { got = append(got, text) },
		})
		if want := []string{"{events 4}", record, "partition 1 is away", record}; err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %q, %v", format, got, err)
		}
	}
	taken := errors.New("the pipe is gone")
	if err := c.Tail(t.Context(), TailQuestion{}, TailReader{Record: func([]byte) error { return taken }}); !errors.Is(err, taken) {
		t.Errorf("got %v", err)
	}
	awaits(t, "a line in the log", func() bool {
		log := s.log.String()
		return strings.Count(log, "a tail has ended") == 3 && strings.Contains(log, "topic=events by=bob payload=true shown=2") && strings.Contains(log, "why=count")
	})
	c.Token = "reads"
	if err := c.Tail(t.Context(), TailQuestion{}, TailReader{Record: func([]byte) error { return nil }}); err != nil {
		t.Error(err)
	}
	for want, q := range map[string]TailQuestion{
		"403: payload: the token ann has role read":                         {Payload: true},
		"404: topic dest.nope does not exist":                               {Destination: "nope"},
		`422: validation failed: query.format: expected value to be one of`: {Format: "xml"},
	} {
		if err := c.Tail(t.Context(), q, TailReader{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %s", q, err, want)
		}
	}
}

// follow opens a tail and returns its lines as they come.
func follow(t *testing.T, url string) (resp *http.Response, next func() TailLine) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/tail", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	in := bufio.NewReader(resp.Body)
	return resp, func() (l TailLine) {
		t.Helper()
		line, err := readLine(in)
		if err == nil {
			err = json.Unmarshal(line, &l)
		}
		if err != nil {
			t.Fatalf("%v after %s", err, line)
		}
		return l
	}
}

// Streams have places of their own: none of them takes one of the requests', and
// one too many is refused.
func TestTailsAreBounded(t *testing.T) {
	s := started(t, Config{Tailing: source(forever)})
	var first *http.Response
	for n := range maxStreams {
		resp, next := follow(t, s.url)
		if next().Started == nil {
			t.Fatal("not the first line")
		}
		if n == 0 {
			first = resp
		}
	}
	awaits(t, "free places for requests", func() bool { return len(s.slots) == 0 })
	if status, _, body := ask(t, "GET", s.url+"/v1/tail", "", nil); status != 429 || !strings.Contains(body, "16 streams are open; end one") {
		t.Errorf("one too many: %d %s", status, body)
	}
	if status, _, body := ask(t, "GET", s.url+"/v1/build", "", nil); status != 200 {
		t.Errorf("another request: %d %s", status, body)
	}
	_ = first.Body.Close()
	awaits(t, "a free place", func() bool { return len(s.streams) < maxStreams })
	if status, _, _ := ask(t, "HEAD", s.url+"/v1/tail", "", nil); status != 200 {
		t.Errorf("HEAD: %d", status)
	}
	awaits(t, "the place of a HEAD", func() bool { return len(s.streams) < maxStreams })
	_, next := follow(t, s.url)
	if next().Started == nil {
		t.Error("the free place")
	}
}

// A client that takes nothing is cut off, and told so when it reads on in time.
func TestSlowTailIsCutAndTold(t *testing.T) {
	end := make(chan error, 1)
	s := started(t, Config{Tailing: endless(end), pace: &pace{stall: 10 * time.Millisecond, rest: time.Minute, beat: time.Minute}})
	resp, next := follow(t, s.url)
	if next().Started == nil {
		t.Fatal("not the first line")
	}
	if err := <-end; !errors.Is(err, errStalled) {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	const last = `{"end":{"reason":"slow","detail":"no line was taken for 10ms; what came since is not shown"}}` + "\n"
	if !strings.HasSuffix(string(body), "\n"+last) {
		t.Errorf("it ends with %q", body[max(0, len(body)-300):])
	}
}

// One that never reads on loses its connection; the others do not notice.
func TestTailThatIsNeverReadEnds(t *testing.T) {
	end := make(chan error, maxStreams)
	s := started(t, Config{Tailing: endless(end), pace: &pace{stall: 10 * time.Millisecond, rest: 10 * time.Millisecond, beat: time.Minute}})
	for range maxStreams {
		hold(t, strings.TrimPrefix(s.url, "http://"), "GET /v1/tail HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	}
	if status, _, body := ask(t, "GET", s.url+"/v1/build", "", nil); status != 200 {
		t.Errorf("another request: %d %s", status, body)
	}
	for range maxStreams {
		<-end
	}
	awaits(t, "the end of the streams", func() bool { return len(s.streams) == 0 })
}

// A stream outlives the server's time for a request, and shows that it is there.
func TestTailGoesOn(t *testing.T) {
	s, err := New(Config{Addr: "127.0.0.1:0", Tailing: source(forever), pace: &pace{stall: time.Minute, rest: time.Minute, beat: 10 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	s.server.ReadTimeout, s.server.WriteTimeout = 20*time.Millisecond, 20*time.Millisecond
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(s.Shutdown(context.Background()), <-done); err != nil {
			t.Error(err)
		}
	})
	_, next := follow(t, "http://"+s.Addr())
	if next().Started == nil {
		t.Fatal("not the first line")
	}
	for range 20 {
		if next().Heartbeat.IsZero() {
			t.Fatal("no heartbeat")
		}
	}
}

func TestTailEndsWithTheServerAndTheClient(t *testing.T) {
	ended := make(chan error, 2)
	s := started(t, Config{Tailing: source(func(ctx context.Context, record func([]byte) error, warn func(error) error) error {
		err := forever(ctx, record, warn)
		ended <- err
		return err
	})})
	c := &Client{BaseURL: s.url}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Tail(ctx, TailQuestion{}, TailReader{Started: func(TailStarted) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("the client's end: %v", err)
	}
	<-ended
	stopped := make(chan error, 1)
	err := c.Tail(t.Context(), TailQuestion{}, TailReader{Started: func(TailStarted) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			stopped <- s.stop(ctx)
		}()
	}})
	if err == nil || !strings.HasSuffix(err.Error(), " has stopped") {
		t.Errorf("the server's end: %v", err)
	}
	if err := errors.Join(<-stopped); err != nil {
		t.Errorf("it did not stop at once: %v", err)
	}
	<-ended
}

// The value of a panic may be a piece of an event.
func TestTailThatPanics(t *testing.T) {
	s := started(t, Config{Tailing: source(func(context.Context, func([]byte) error, func(error) error) error { panic("piece of an event") })})
	err := (&Client{BaseURL: s.url}).Tail(t.Context(), TailQuestion{}, TailReader{})
	if err == nil || err.Error() != "the server made a mistake; its log has more" {
		t.Errorf("got %v", err)
	}
	if log := s.log.String(); !strings.Contains(log, "an admin stream failed") || strings.Contains(log, "piece of an event") {
		t.Errorf("log:\n%s", log)
	}
}

// What is no tail, is silent, or breaks off is told in words.
func TestTailClientExplains(t *testing.T) {
	var text string
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := text // the client may end, and the next text come, before this does
		w.Header().Set("Content-Type", r.Header.Get("User-Agent"))
		_, _ = io.WriteString(w, said)
		_ = http.NewResponseController(w).Flush()
		if strings.HasSuffix(said, `}`+"\n") {
			<-gone
		}
	}))
	defer srv.Close()
	defer close(gone)
	for _, c := range []struct {
		kind, text string
		silence    time.Duration
		want       string
	}{
		{"application/json", "{}", time.Minute, "is not the admin API of an eventserver of this version"},
		{streamType, "", time.Minute, "broke off: the server was killed, or cut off a reader"},
		{streamType, `{"started":{"topic":"t"`, time.Minute, "broke off: the server was killed, or cut off a reader"},
		{streamType, "no\n\n", time.Minute, "is not understood"},
		{streamType, `{"started":{"topic":"t"}}` + "\n", 50 * time.Millisecond, "has been silent for 50ms: the server, or what is between, is gone"},
	} {
		text = c.text
		err := (&Client{BaseURL: srv.URL, Agent: c.kind, silence: c.silence}).Tail(t.Context(), TailQuestion{}, TailReader{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
}
