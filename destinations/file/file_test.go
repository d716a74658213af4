package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faulty is a file whose calls a test can see and fail.
type faulty struct {
	file
	write    func(p []byte) (int, error)
	sync     func() error
	truncate func() error
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.write != nil {
		return f.write(p)
	}
	return f.file.Write(p)
}

func (f *faulty) Sync() error {
	if f.sync != nil {
		if err := f.sync(); err != nil {
			return err
		}
	}
	return f.file.Sync()
}

func (f *faulty) Truncate(n int64) error {
	if f.truncate != nil {
		if err := f.truncate(); err != nil {
			return err
		}
	}
	return f.file.Truncate(n)
}

// startFaulty is New with the faults of f on every file it opens.
func startFaulty(t *testing.T, cfg Config, f *faulty) *Destination {
	t.Helper()
	cfg = cfg.withDefaults()
	d, err := start("archive", cfg, &journal{cfg: cfg, now: time.Now, openFile: func(path string) (file, error) {
		real, err := openFile(path)
		f.file = real
		return f, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func open(t *testing.T, cfg Config) *Destination {
	t.Helper()
	d, err := New("archive", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func delivery(id, body string) destinations.Delivery {
	return destinations.Delivery{
		ID: id + ":archive", EventID: id, EventType: "order.placed", Key: "user-1", Destination: "archive", Attempt: 2,
		Time: time.Unix(1, 5), ReceivedAt: time.Unix(2, 0), Sequence: 42, Payload: destinations.Payload{Body: []byte(body)},
	}
}

func send(t *testing.T, d *Destination, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := d.Deliver(t.Context(), delivery(id, `"`+id+`"`)); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestConformance(t *testing.T) {
	path := func(t *testing.T) string { return filepath.Join(t.TempDir(), "new", "events.jsonl") }
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T) destinations.Destination {
			return open(t, Config{Path: path(t), Envelope: true, MaxBytes: 4096})
		},
		PassThrough: true,
		Stuck: func(t *testing.T, entered chan<- struct{}) destinations.Destination {
			end := make(chan struct{})
			var f faulty
			d := startFaulty(t, Config{Path: path(t)}, &f)
			f.sync = func() error {
				entered <- struct{}{}
				<-end
				return nil
			}
			t.Cleanup(func() {
				close(end)
				_ = d.Close()
			})
			return d
		},
		Broken: map[string]func(*testing.T) destinations.Destination{
			"full disk": func(t *testing.T) destinations.Destination {
				var f faulty
				d := startFaulty(t, Config{Path: path(t)}, &f)
				f.write = func([]byte) (int, error) { return 0, syscall.ENOSPC }
				return d
			},
		},
	})
}

func TestLines(t *testing.T) {
	const head = `{"id":"e1:archive","event_id":"e1","type":"order.placed","key":"user-1","attempt":2,"sequence":42,` +
		`"time":"1970-01-01T00:00:01.000000005Z","received_at":"1970-01-01T00:00:02Z",`
	for name, c := range map[string]struct{ body, bare, data string }{
		"json":     {"{\n \"n\": 9007199254740993,\r\n \"s\": \"<&\u2028\\n\" }\n", "{\"n\":9007199254740993,\"s\":\"<&\u2028\\n\"}", "{\"n\":9007199254740993,\"s\":\"<&\u2028\\n\"}"},
		"text":     {"one\ntwo<", `"one\ntwo<"`, `"one\ntwo<"`},
		"empty":    {"", "null", "null"},
		"null":     {" null\n", "null", "null"},
		"binary":   {"\xff\n", `{"data_base64":"/wo="}`, ""},
		"two json": {"1\n2", `"1\n2"`, `"1\n2"`},
	} {
		t.Run(name, func(t *testing.T) {
			if line, err := makeLine(delivery("e1", c.body), false); err != nil || string(line) != c.bare+"\n" {
				t.Errorf("%q, %v", line, err)
			}
			want := head + `"data":` + c.data + "}\n"
			if c.data == "" {
				want = head + `"data_base64":"/wo="}` + "\n"
			}
			if line, err := makeLine(delivery("e1", c.body), true); err != nil || string(line) != want {
				t.Errorf("%q, %v", line, err)
			}
		})
	}
	line, err := makeLine(destinations.Delivery{ID: "e", Sequence: -1}, true)
	if want := `{"id":"e","event_id":"","type":"","key":"","attempt":0,"data":null}` + "\n"; err != nil || string(line) != want {
		t.Errorf("sparse: %q, %v", line, err)
	}
}

func FuzzOneLine(f *testing.F) {
	for _, e := range destinationtest.Events() {
		f.Add(e.ID, e.Data[:min(len(e.Data), 100)])
	}
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		for _, enveloped := range []bool{false, true} {
			line, err := makeLine(delivery(id, string(body)), enveloped)
			if err != nil || !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
				t.Errorf("%q, %v", line, err)
			}
		}
	})
}

func TestGroupsShareASync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	synctest.Test(t, func(t *testing.T) {
		var f faulty
		d := startFaulty(t, Config{Path: path}, &f)
		var syncs atomic.Int32
		first := make(chan struct{})
		f.sync = func() error {
			if syncs.Add(1) == 1 {
				<-first
			}
			return nil
		}
		const n = 100
		results := make(chan error, n)
		for i := range n {
			go func() { results <- d.Deliver(t.Context(), delivery(fmt.Sprint(i), "1")) }()
			synctest.Wait() // waits at the sync or behind it, in this order
		}
		if len(results) != 0 {
			t.Error("nil before the sync")
		}
		close(first)
		for range n {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if syncs.Load() != 2 {
			t.Errorf("%d syncs", syncs.Load())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if got := content(t, path); got != strings.Repeat("1\n", 100) {
		t.Errorf("%q", got)
	}
}

// Attempts of one key that were given up on still come before the next ones.
func TestOrderSurvivesTimeouts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	synctest.Test(t, func(t *testing.T) {
		var f faulty
		d := startFaulty(t, Config{Path: path}, &f)
		end := make(chan struct{})
		f.sync = func() error { <-end; return nil }
		ctx := timeout(t)
		if err := d.Deliver(ctx, delivery("a", `"a"`)); err == nil {
			t.Error("nil before the sync")
		}
		result := make(chan error)
		go func() { result <- d.Deliver(t.Context(), delivery("a", `"a"`)) }()
		synctest.Wait()
		close(end)
		if err := <-result; err != nil {
			t.Error(err)
		}
		send(t, d, "b")
		_ = d.Close()
	})
	if got := content(t, path); got != "\"a\"\n\"a\"\n\"b\"\n" {
		t.Errorf("%q", got)
	}
}

func TestFailedWriteIsTakenBack(t *testing.T) {
	for name, fail := range map[string]func(f *faulty){
		"write": func(f *faulty) {
			f.write = func(p []byte) (int, error) {
				n, _ := f.file.Write(p[:len(p)/2])
				return n, syscall.ENOSPC
			}
		},
		"short write": func(f *faulty) { f.write = func(p []byte) (int, error) { return f.file.Write(p[:len(p)/2]) } },
		"sync":        func(f *faulty) { f.sync = func() error { return syscall.EIO } },
		"write and truncate": func(f *faulty) {
			f.write = func(p []byte) (int, error) {
				n, _ := f.file.Write(p[:len(p)/2])
				return n, syscall.ENOSPC
			}
			f.truncate = func() error { return syscall.EIO }
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			var f faulty
			d := startFaulty(t, Config{Path: path}, &f)
			send(t, d, "a")
			fail(&f)
			for range 2 {
				err := d.Deliver(t.Context(), delivery("b", `"bbbb"`))
				if got := destinationtest.Verdict(err); got != "unavailable" {
					t.Errorf("%s: %v", got, err)
				}
			}
			if name != "write and truncate" && content(t, path) != "\"a\"\n" {
				t.Errorf("left %q", content(t, path))
			}
			f.write, f.sync, f.truncate = nil, nil, nil
			send(t, d, "b")
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			if got := content(t, path); got != "\"a\"\n\"b\"\n" {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestTornLineIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(path, []byte("1\n{\"a\":"), 0o640); err != nil {
		t.Fatal(err)
	}
	send(t, open(t, Config{Path: path}), "b")
	if got := content(t, path); got != "1\n{\"a\":\n\"b\"\n" {
		t.Errorf("%q", got)
	}
	if info, _ := os.Stat(path); info.Mode().Perm()&0o027 != 0 {
		t.Errorf("mode %s", info.Mode())
	}
}

func TestRefusedPaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	open(t, Config{Path: path})
	if _, err := New("other", Config{Path: path}); err == nil || !strings.Contains(err.Error(), "in use by another destination") {
		t.Errorf("second writer: %v", err)
	}
	for _, bad := range []string{dir, "/dev/null", filepath.Join(path, "x"), ""} {
		if _, err := New("other", Config{Path: bad}); err == nil || !strings.HasPrefix(err.Error(), "path: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	err := Config{Path: "a/", MaxBytes: -1, MaxAge: -1, Keep: -1}.Validate()
	want := `path: "a/" does not name a file; write a path such as ./data/events.ndjson
max_bytes: -1 is negative; give a size such as 100MiB
max_age: -1ns is negative; give an age such as 24h, or 0 for never
keep: -1 is negative; give a number of files, or 0 for all`
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// A name that was short enough for the first file and too long for the older ones
// passed check, and the destination stood still at its first rotation.
func TestLongestName(t *testing.T) {
	name := strings.Repeat("n", longestName-len(".jsonl"))
	dir := t.TempDir()
	d := open(t, Config{Path: filepath.Join(dir, name+".jsonl"), MaxBytes: 1})
	for i := range 3 {
		if err := d.Deliver(t.Context(), delivery("a", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Config{Path: filepath.Join(dir, name+"n.jsonl")}).Validate(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("use at most %d", longestName)) {
		t.Errorf("%v", err)
	}
}

func TestClosedIsUnavailable(t *testing.T) {
	d := open(t, Config{Path: filepath.Join(t.TempDir(), "e")})
	_ = d.Close()
	err := d.Deliver(t.Context(), delivery("a", "1"))
	if got := destinationtest.Verdict(err); got != "unavailable" || !errors.Is(err, ErrClosed) {
		t.Errorf("%s: %v", got, err)
	}
}
