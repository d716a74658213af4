package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/app/ingest/budget"
	"eventserver/app/ingest/envelope"
	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/record"
)

func limited(t testing.TB, cfg Config) *Server {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Addr, cfg.Metrics, cfg.Scrape, cfg.Ready = "127.0.0.1:0", m, http.NotFoundHandler(), func(context.Context) error { return nil }
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unfinished is a body that stops before its end until it is let go. A Read of it
// that waits says that all that came before was dealt with.
type unfinished struct {
	io.Reader
	waits chan struct{}
	end   chan struct{}
	once  sync.Once
}

func (u *unfinished) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if n > 0 || err == nil {
		return n, nil
	}
	u.once.Do(func() { close(u.waits) })
	<-u.end
	return 0, io.ErrUnexpectedEOF
}

func (u *unfinished) Close() error { return nil }

func gzipped(t *testing.T, members int, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for i := range members {
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		z.Extra = bytes.Repeat([]byte("x"), 60<<10)
		if _, err := z.Write(plain); err != nil {
			t.Fatal(err)
		}
		if i == members-1 {
			err = z.Flush() // the last one has no end
		} else {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // pools let go at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// 8 KB of unfinished gzip held 12.8 MiB, and 16,384 such requests could be read at
// once. What all bodies hold is what was charged for them, and never more than
// the budget.
func TestBodiesHoldWhatTheyAreCharged(t *testing.T) {
	const mib = 1 << 20
	blanks, words := bytes.Repeat([]byte(" "), 2*mib), []byte(strings.Repeat(`{"a":"b"},`, mib/20))
	for name, c := range map[string]struct {
		sent   []byte
		length int64 // -1: chunked
		gzip   bool
		small  bool // all fit
	}{
		"a length":                 {sent: blanks, length: 2*mib + 1},
		"chunked":                  {sent: blanks, length: -1},
		"a length that lies":       {sent: []byte("{"), length: 8 * mib, small: true},
		"gzip":                     {sent: gzipped(t, 1, blanks), length: 1 << 16, gzip: true},
		"gzip, chunked":            {sent: gzipped(t, 1, blanks), length: -1, gzip: true},
		"gzip of several members":  {sent: gzipped(t, 5, words), length: -1, gzip: true},
		"gzip that holds little":   {sent: gzipped(t, 2, []byte("{")), length: -1, gzip: true, small: true},
		"gzip, nothing but a head": {sent: []byte("\x1f\x8b"), length: -1, gzip: true, small: true},
		"small and slow":           {sent: []byte(`{"id":"e1"`), length: 100, small: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := limited(t, Config{Memory: 24 * mib})
			const many = 30
			end := make(chan struct{})
			var wg sync.WaitGroup
			var bodies []*unfinished
			answers := make(chan *Problem, many)
			before := heap()
			for range many {
				u := &unfinished{Reader: bytes.NewReader(c.sent), waits: make(chan struct{}), end: end}
				if len(c.sent) < 100 {
					u.Reader = iotest.OneByteReader(u.Reader)
				}
				bodies = append(bodies, u)
				r := httptest.NewRequest(http.MethodPost, PathEvents, u)
				r.ContentLength = c.length
				if c.gzip {
					r.Header.Set("Content-Encoding", "gzip")
				}
				share, done := s.budget.Share(), make(chan struct{})
				wg.Go(func() {
					defer share.Release()
					_, p := s.body(httptest.NewRecorder(), r, share)
					answers <- p
					close(done)
				})
				select {
				case <-u.waits:
				case <-done:
				}
			}
			held, used := heap()-before, s.budget.Used()
			refused := len(answers)
			for range refused {
				if p := <-answers; p == nil || p.Status != http.StatusTooManyRequests || p.retryAfter == 0 {
					t.Fatalf("answered %+v", p)
				}
			}
			const own = 4 << 10 // of the test, and of what has been refused, for each
			if used > s.budget.Total() || held > used+many*own {
				t.Errorf("%d bodies hold %d bytes, charged %d of %d", many-refused, held, used, s.budget.Total())
			}
			if c.small != (refused == 0) || refused == many {
				t.Errorf("%d of %d refused", refused, many)
			}
			close(end)
			wg.Wait()
			runtime.KeepAlive(bodies)
			if used := s.budget.Used(); used != 0 {
				t.Errorf("%d bytes are charged for nothing", used)
			}
		})
	}
}

// A client that promised a body and sent none of it held 72 KiB, so that 2,600 of
// them locked everybody out. As many as may connect leave room for small requests.
func TestPromisedBodiesLeaveRoom(t *testing.T) {
	for name, c := range map[string]struct {
		length int64
		gzip   bool
	}{"short": {length: 100}, "long": {length: 8 << 20}, "chunked": {length: -1}, "gzip": {length: 8 << 20, gzip: true}} {
		t.Run(name, func(t *testing.T) {
			s := limited(t, Config{Memory: 64 << 20})
			end := make(chan struct{})
			var wg sync.WaitGroup
			for range s.budget.Connections() {
				u := &unfinished{Reader: strings.NewReader(""), waits: make(chan struct{}), end: end}
				r, done := httptest.NewRequest(http.MethodPost, PathEvents, u), make(chan struct{})
				if r.ContentLength = c.length; c.gzip {
					r.Header.Set("Content-Encoding", "gzip")
				}
				wg.Go(func() {
					defer close(done)
					s.server.Handler.ServeHTTP(httptest.NewRecorder(), r)
				})
				select {
				case <-u.waits:
				case <-done:
					if !c.gzip { // a decompressor is no small request
						t.Fatal("one of as many as may connect was refused")
					}
				}
			}
			w := httptest.NewRecorder()
			s.server.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, PathEvents, strings.NewReader(`{"id":5}`)))
			if w.Code != http.StatusBadRequest {
				t.Errorf("a small request beside promises: %d %s", w.Code, w.Body)
			}
			close(end)
			wg.Wait()
			if used := s.budget.Used(); used != 0 {
				t.Errorf("%d bytes are charged for nothing", used)
			}
		})
	}
}

// A body that says that it is too large is not read at all.
func TestTooLongIsRefusedUnread(t *testing.T) {
	s := limited(t, Config{})
	r := httptest.NewRequest(http.MethodPost, PathEvents, iotest.ErrReader(io.ErrClosedPipe))
	r.ContentLength = 8<<20 + 1
	w := httptest.NewRecorder()
	s.server.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("Connection") != "close" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The buffers of large bodies leave room for small requests, whose number alone
// fills the rest.
func TestLargeBodiesLeaveRoomForSmallOnes(t *testing.T) {
	s := limited(t, Config{Memory: 64 << 20})
	large := s.budget.Share()
	for large.Grow(1<<20) == nil { // until there is no more
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, PathEvents, strings.NewReader(`{"id":5}`))
	s.server.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("a small request beside large ones: %d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	r = httptest.NewRequest(http.MethodPost, PathEvents, strings.NewReader(`{"id":"`+strings.Repeat("x", 300<<10)+`"}`))
	s.server.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("a large one: %d %s", w.Code, w.Body)
	}
	if large.Release(); s.budget.Used() != 0 {
		t.Errorf("%d bytes are charged for nothing", s.budget.Used())
	}
}

// bodies of every shape that decoding treats in its own way.
func shapes() map[string]string {
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%x":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	return map[string]string{
		"one small":      `{"id":"e1","type":"order.placed","userId":"ada","data":{"total":42}}`,
		"one of text":    `{"data":"` + strings.Repeat("x", 1<<20-100) + `"}`,
		"many members":   members(30_000),
		"long names":     `{"` + strings.Repeat("n", 100_000) + `":{"` + strings.Repeat("m", 200_000) + `":1}}`,
		"numbers":        `{"data":[` + strings.Repeat("1,", 100_000) + `1]}`,
		"empty arrays":   `{"data":[` + strings.Repeat("[],", 50_000) + `[]]}`,
		"empty objects":  `{"data":[` + strings.Repeat("{},", 50_000) + `{}]}`,
		"deep":           `{"data":` + strings.Repeat(`{"a":[`, 30) + strings.Repeat("]}", 30) + `}`,
		"deep and many":  `{"data":[` + strings.Repeat(strings.Repeat(`{"a":[`, 20)+strings.Repeat("]}", 20)+",", 4000) + `0]}`,
		"many events":    "[" + strings.Repeat("{},", 499) + "{}]",
		"events of text": "[" + strings.Repeat(`{"data":"`+strings.Repeat("x", 15_000)+`"},`, 499) + "{}]",
		"long fields":    "[" + strings.Repeat(`{"type":"`+strings.Repeat("t", 250)+`","source":"`+strings.Repeat("s", 250)+`","key":"`+strings.Repeat("k", 500)+`"},`, 499) + "{}]",
		"escaped fields": "[" + strings.Repeat(`{"type":"`+strings.Repeat(`\u0074`, 250)+`"},`, 499) + "{}]",
	}
}

// Decoding, and what it makes, cost what they are charged: the memory is counted
// that is allocated, with nothing collected.
func TestDecodingCostsWhatItIsCharged(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	md := map[string]string{}
	for i := range 30 {
		md[fmt.Sprintf("x-header-%d", i)] = strings.Repeat("v", 1000)
	}
	for name, body := range shapes() {
		for _, metadata := range []map[string]string{nil, md} {
			t.Run(fmt.Sprintf("%s, %d headers", name, len(metadata)), func(t *testing.T) {
				s := limited(t, Config{})
				in := &intake{body: []byte(body), share: s.budget.Share()}
				var before, after runtime.MemStats
				var events []destinations.Event
				var charged int64
				runtime.GC()
				runtime.ReadMemStats(&before)
				p := s.decode(in, metadata, func(m envelope.Measure) *Problem {
					charged = in.share.Held()
					envs, _, err := envelope.ParseCounted(in.body, m, s.limits())
					if err != nil {
						t.Error(err)
					}
					for _, e := range envs {
						ev := destinations.Event{ID: e.ID, Type: e.Type, Source: e.Source, Key: e.Key, Data: e.Raw, Metadata: metadata}
						if ev.ID == "" {
							ev.ID = "01M8ATWHKK1VBS73VS75HXWY9V"
						}
						events = append(events, ev)
					}
					return nil
				})
				if p != nil {
					t.Fatalf("%+v", p)
				}
				msg := record.EncodeIngest(events)
				recs, err := record.EncodeEvents([]destinations.Event{{ID: "e", Key: "e"}})
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				runtime.KeepAlive(recs)
				runtime.KeepAlive(msg)
				took := int64(after.TotalAlloc - before.TotalAlloc)
				t.Logf("%d bytes: took %d, charged %d (%.1f)", len(body), took, charged, float64(charged)/float64(took))
				if took > charged {
					t.Errorf("took %d bytes, charged %d", took, charged)
				}
			})
		}
	}
}

// The largest requests of the default limits fit the default budget, and those of
// others the least that these need.
func TestTheLargestRequestFits(t *testing.T) {
	for _, l := range []struct {
		batch, event int64
		events       int
	}{{8 << 20, 1 << 20, 500}, {1 << 20, 1 << 20, 1}, {64 << 20, 16 << 20, 5000}, {1000, 200, 3}} {
		if testing.Short() && l.batch > 8<<20 {
			continue
		}
		s := limited(t, Config{MaxBatchBytes: l.batch, MaxEventBytes: l.event, MaxBatchEvents: l.events,
			Memory: budget.Least(l.batch, l.event, l.events)})
		text := strings.Repeat("x", int(l.event)-20)
		one := `{"id":5,"data":"` + text[:len(text)-10] + `"}`
		many := "[" + strings.Repeat(one+",", int(l.batch-1)/len(one)-1) + one + "]"
		for _, body := range []string{one, many} {
			if len(body) > int(l.batch) {
				continue
			}
			for _, length := range []int64{int64(len(body)), -1} {
				r := httptest.NewRequest(http.MethodPost, PathEvents, strings.NewReader(body))
				r.ContentLength = length
				w := httptest.NewRecorder()
				s.server.Handler.ServeHTTP(w, r)
				if w.Code != http.StatusBadRequest { // its id is a number: it was decoded
					t.Errorf("%d bytes of at most %d: %d %s", len(body), l.batch, w.Code, w.Body)
				}
			}
		}
	}
}
