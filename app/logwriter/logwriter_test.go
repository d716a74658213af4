package logwriter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func notice(n uint64) []byte { return fmt.Appendf(nil, "%d lines dropped\n", n) }

func open(t interface {
	Fatal(...any)
}, cfg Config) *Writer {
	cfg.Notice = notice
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func put(t interface{ Errorf(string, ...any) }, w *Writer, line string) {
	if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
}

// gate blocks every Write until it is opened.
type gate struct {
	began chan struct{}
	open  chan struct{}
	bytes.Buffer
}

func newGate() *gate { return &gate{began: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.began <- struct{}{}
	<-g.open
	return g.Buffer.Write(p)
}

// A reader that does not read costs lines and no time; they are counted at
// their place.
func TestFullBuffer(t *testing.T) {
	g := newGate()
	w := open(t, Config{Out: g, Bytes: 3 * (2 + lineCost)})
	put(t, w, "0\n")
	<-g.began // it has left the buffer
	for i := 1; i <= 9; i++ {
		put(t, w, strconv.Itoa(i)+"\n")
	}
	if n := w.Dropped(); n != 6 {
		t.Errorf("%d dropped, want 6", n)
	}
	close(g.open)
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	put(t, w, "late\n")
	if got := g.String(); got != "0\n1\n2\n3\n6 lines dropped\n" || w.Dropped() != 7 {
		t.Errorf("%q, %d dropped", got, w.Dropped())
	}
}

// Close does not wait for a reader that is stopped for longer than it may.
func TestCloseIsBounded(t *testing.T) {
	g := newGate()
	w := open(t, Config{Out: g})
	put(t, w, "0\n")
	<-g.began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if err := w.Close(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	close(g.open)
	if err := w.Close(t.Context()); err != nil || g.String() != "0\n" {
		t.Errorf("%v, %q", err, g.String())
	}
}

// scripted is an output of which each Write does as the script says: how many
// bytes it takes, and whether it fails.
type scripted struct {
	bytes.Buffer
	script []int // -1: all of them
}

func (s *scripted) Write(p []byte) (int, error) {
	n := -1
	if len(s.script) > 0 {
		n, s.script = s.script[0], s.script[1:]
	}
	if n < 0 || n >= len(p) {
		return s.Buffer.Write(p)
	}
	n = min(n, max(0, len(p)-2)) // a line that lacks its end alone would look whole
	s.Buffer.Write(p[:n])
	return n, errors.New("no space left on device")
}

// Whatever fails: a line is in the log whole and once, or counted as dropped; the
// lines keep their order; the log's own count is the counter's, once the last write works.
func TestFailingOutput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out := &scripted{script: rapid.SliceOfN(rapid.IntRange(-1, 12), 0, 40).Draw(t, "script")}
		lines := rapid.IntRange(1, 40).Draw(t, "lines")
		w := open(t, Config{Out: out, Bytes: rapid.IntRange(lineCost+8, 20*lineCost).Draw(t, "bytes")})
		for i := range lines {
			put(t, w, fmt.Sprintf("line %d.\n", i))
		}
		_ = w.Close(context.Background())
		told, written, last := 0, 0, -1
		for l := range strings.Lines(out.String()) {
			var n int
			switch {
			case strings.HasSuffix(l, " lines dropped\n"):
				if _, err := fmt.Sscanf(l, "%d lines dropped", &n); err != nil {
					t.Fatalf("%q", out.String())
				}
				told += n
			case strings.HasSuffix(l, ".\n"):
				if _, err := fmt.Sscanf(l, "line %d.", &n); err != nil || n <= last {
					t.Fatalf("%q in %q", l, out.String())
				}
				written, last = written+1, n
			}
		}
		dropped := int(w.Dropped())
		if written+dropped != lines || told > dropped {
			t.Fatalf("%d lines: %d written, %d dropped, %d of them told\n%s", lines, written, dropped, told, out.String())
		}
		if len(out.script) > 1 || lines < 40 || strings.HasSuffix(out.String(), "lines dropped\n") {
			return
		}
		if strings.HasSuffix(out.String(), fmt.Sprintf("line %d.\n", lines-1)) && told != dropped {
			t.Fatalf("the last line is written, %d dropped and %d told\n%s", dropped, told, out.String())
		}
	})
}

func TestManyWriters(t *testing.T) {
	var out bytes.Buffer
	w := open(t, Config{Out: &out, Bytes: 8 << 20})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				put(t, w, fmt.Sprintf("%d %d\n", g, i))
			}
		})
	}
	wg.Wait()
	if err := w.Close(t.Context()); err != nil || strings.Count(out.String(), "\n") != 8000 || w.Dropped() != 0 {
		t.Errorf("%v, %d lines, %d dropped", err, strings.Count(out.String(), "\n"), w.Dropped())
	}
}

func TestConfigFaults(t *testing.T) {
	for _, cfg := range []Config{{}, {Out: &bytes.Buffer{}, Bytes: -1}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
