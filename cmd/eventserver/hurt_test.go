package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hurt is a server whose disk goes bad under it.
type hurt struct {
	t                 *testing.T
	dir, data, backup string
	sent              string // the file of its destination
	api               string
	s                 *server
	p                 *process
}

// newHurt starts a server that has delivered events, which lie in tables of its
// broker: a start writes there what the log of the last run holds.
func newHurt(t *testing.T, bin string) *hurt {
	t.Helper()
	dir := t.TempDir()
	h := &hurt{t: t, dir: dir, data: filepath.Join(dir, "data"), backup: filepath.Join(dir, "backup"), sent: filepath.Join(dir, "out.ndjson"), api: freeAddr(t)}
	h.s = &server{instance: "hurt", bin: bin, config: filepath.Join(dir, "eventserver.yaml"), addr: freeAddr(t), o: &oracle{waiting: map[string]time.Time{}},
		quiet: true, log: filepath.Join(t.ArtifactDir(), "hurt.log")}
	h.configure(h.data)
	h.p = h.s.start(t)
	h.post(0, 600)
	h.await(600)
	return h
}

func (h *hurt) configure(data string) {
	h.t.Helper()
	text := fmt.Sprintf("http: {addr: %q}\nadmin: {addr: %q}\nbroker: {dir: %q, partitions: 2}\ndestinations: [{id: hurt, kind: file, path: %q}]\n", h.s.addr, h.api, data, h.sent)
	if err := os.WriteFile(h.s.config, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hurt) post(from, to int) {
	h.t.Helper()
	for from < to {
		n := min(to-from, 100)
		var events []string
		for i := range n {
			events = append(events, fmt.Sprintf(`{"id":"e%d","userId":"u%d","pad":%q}`, from+i, i, strings.Repeat(fmt.Sprint(from*i, " "), 60)))
		}
		resp, err := http.Post("http://"+h.s.addr+"/v1/events", "application/json", strings.NewReader("["+strings.Join(events, ",")+"]"))
		if err != nil || resp.StatusCode != http.StatusAccepted {
			h.t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
		from += n
	}
}

// delivered counts the events that were, each once.
func (h *hurt) delivered() map[string]bool {
	text, _ := os.ReadFile(h.sent)
	ids := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(line, `"id":"e`); ok {
			id, _, _ := strings.Cut(rest, `"`)
			ids[id] = true
		}
	}
	return ids
}

func (h *hurt) await(n int) {
	h.t.Helper()
	waitFor(h.t, 30*time.Second, fmt.Sprintf("%d events to be delivered", n), func() bool { return len(h.delivered()) >= n })
}

// restart ends it and starts it again.
func (h *hurt) restart() {
	h.t.Helper()
	h.p.terminate()
	h.p = h.s.start(h.t)
	h.s.ready(h.t)
}

// damage flips bits in the tables, and has the server read them.
func (h *hurt) damage() {
	h.t.Helper()
	h.restart()
	tables, err := filepath.Glob(filepath.Join(h.data, "log", "*.sst"))
	if err != nil || len(tables) == 0 {
		h.t.Fatal("there are no tables", err)
	}
	for _, path := range tables {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			h.t.Fatal(err)
		}
		b := make([]byte, 1)
		for at := int64(20_000); at < info.Size()*3/4; at += 40_000 {
			_, readErr := f.ReadAt(b, at)
			b[0] ^= 0x10
			_, err = f.WriteAt(b, at)
			if err = errors.Join(readErr, err); err != nil {
				h.t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	if out, err := h.shell("eventserver replay hurt --since 1h --yes --admin \"$ADMIN\""); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
}

// mend does what the runbook says.
func (h *hurt) mend(book runbook) {
	h.t.Helper()
	h.p.terminate()
	for _, step := range []string{"mend", "then"} {
		if out, err := h.shell(book[step]); code(err) > map[string]int{"mend": 1}[step] { // 1: some of it is lost
			h.t.Errorf("%s: %v\n%s", book[step], err, out)
		}
	}
	h.p = h.s.start(h.t)
	h.s.ready(h.t)
	if out, err := h.shell(book["over"]); err != nil {
		h.t.Errorf("%s: %v\n%s", book["over"], err, out)
	}
}

// shell runs a command of the docs as it stands there.
func (h *hurt) shell(command string) (string, error) {
	cmd := exec.CommandContext(h.t.Context(), "sh", "-c", command)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(h.s.bin)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"ADMIN=http://"+h.api, "DATA="+h.data, "BACKUP="+h.backup, "CONFIG="+h.s.config)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// code is the exit code of a command.
func code(err error) int {
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		return -1
	}
	return 0
}

func (h *hurt) metrics() string {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+h.s.addr+"/metrics", nil)
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	var b strings.Builder
	if err := resp.Write(&b); err != nil {
		return err.Error()
	}
	return b.String()
}
