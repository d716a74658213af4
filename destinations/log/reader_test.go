package log

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventserver/destinations/destinationtest"
)

// A full pipe that nobody reads used up the attempts of every event. It is a
// destination that is down, and costs one goroutine.
func TestStuckReaderIsUnavailable(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d := open(t, Config{}, w)
	body := `"` + strings.Repeat("x", 4000) + `"`
	attempt := func(i int, wait time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		return d.Deliver(ctx, delivery(fmt.Sprint("e", i), body))
	}
	filled := 0
	for ; attempt(filled, 50*time.Millisecond) == nil; filled++ {
		if filled > 10_000 {
			t.Fatal("the pipe takes everything")
		}
	}
	before := runtime.NumGoroutine()
	for i := range 100 {
		err := attempt(filled+i, time.Millisecond)
		if got := destinationtest.Verdict(err); got != "unavailable" || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s: %v", got, err)
		}
	}
	if after := runtime.NumGoroutine(); after > before+10 { // the runtime's and the test's own come and go
		t.Errorf("%d goroutines for 100 attempts at a stuck writer", after-before)
	}
	// A stop is no fault of the reader.
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if got := destinationtest.Verdict(d.Deliver(stopped, delivery("stop", body))); got != "retry" {
		t.Errorf("a stop: %s", got)
	}
	// The reader comes back.
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	if err := attempt(9999, destinationtest.Soon); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	last := ""
	for line := range lines {
		if !strings.HasPrefix(line, "2026-01-02T") || !strings.HasSuffix(line, `"`) && !strings.HasSuffix(line, ")") {
			t.Errorf("a line is not whole: %.80q", line)
		}
		last = line
	}
	if !strings.Contains(last, "event=e9999 ") {
		t.Errorf("the last line is %.80q", last)
	}
}

func TestGoneReaderIsUnavailable(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d := open(t, Config{}, w)
	_ = r.Close()
	for range 3 {
		err := d.Deliver(t.Context(), delivery("e1", "{}"))
		if got := destinationtest.Verdict(err); got != "unavailable" || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%s: %v", got, err)
		}
	}
}

// In a program that does not ignore SIGPIPE, a write to its standard output
// without a reader ended the program.
func TestGoneReaderOfStandardOutputEndsNothing(t *testing.T) {
	if os.Getenv("LOG_TEST_CHILD") != "" {
		d, err := New("log", Config{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(os.Stderr, "verdict:", destinationtest.Verdict(d.Deliver(t.Context(), delivery("e1", "{}"))))
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	defer w.Close()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "LOG_TEST_CHILD=1")
	cmd.Stdout, cmd.Stderr = w, &said
	_ = cmd.Run() // its own report goes to the same output, and may end it
	if !strings.Contains(said.String(), "verdict: unavailable") {
		t.Errorf("it said %q", said.String())
	}
}
