package gameday_test

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

	"eventserver/cmd/eventserver/e2e/harness"
)

// diskServer is a server whose files are damaged, backed up and repaired.
type diskServer struct {
	t                 *testing.T
	dir, data, backup string
	sent              string // the file of its destination
	api               string
	s                 *harness.Server
	p                 *harness.Process
}

// newDiskServer starts a server that has delivered events, which lie in tables of its
// broker: a start writes there what the log of the last run holds.
func newDiskServer(t *testing.T, bin string) *diskServer {
	t.Helper()
	dir := t.TempDir()
	h := &diskServer{t: t, dir: dir, data: filepath.Join(dir, "data"), backup: filepath.Join(dir, "backup"), sent: filepath.Join(dir, "out.ndjson"), api: harness.FreeAddr(t)}
	h.s = newProgram(t, bin, "hurt", dir)
	h.configure(h.data)
	h.p = h.s.Start(t)
	h.post(0, 600)
	h.await(600)
	return h
}

func (h *diskServer) configure(data string) {
	h.t.Helper()
	text := fmt.Sprintf("http: {addr: %q}\nadmin: {addr: %q}\nbroker: {dir: %q, partitions: 2}\ndestinations: [{id: hurt, kind: file, path: %q}]\n", h.s.Addr, h.api, data, h.sent)
	if err := os.WriteFile(h.s.Config, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *diskServer) post(from, to int) {
	h.t.Helper()
	for from < to {
		n := min(to-from, 100)
		var events []string
		for i := range n {
			events = append(events, fmt.Sprintf(`{"id":"e%d","userId":"u%d","pad":%q}`, from+i, i, strings.Repeat(fmt.Sprint(from*i, " "), 60)))
		}
		resp, err := http.Post("http://"+h.s.Addr+"/v1/events", "application/json", strings.NewReader("["+strings.Join(events, ",")+"]"))
		if err != nil || resp.StatusCode != http.StatusAccepted {
			h.t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
		from += n
	}
}

// delivered is the set of delivered events.
func (h *diskServer) delivered() map[string]bool {
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

func (h *diskServer) await(n int) {
	h.t.Helper()
	harness.WaitFor(h.t, 30*time.Second, fmt.Sprintf("%d events to be delivered", n), func() bool { return len(h.delivered()) >= n })
}

// restart ends it and starts it again.
func (h *diskServer) restart() {
	h.t.Helper()
	h.p.Terminate()
	h.p = h.s.Start(h.t)
	h.s.Ready(h.t)
}

// damage flips bits in the tables, and has the server read them.
func (h *diskServer) damage() {
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

// repair does what the runbook says.
func (h *diskServer) repair(book runbook) {
	h.t.Helper()
	h.p.Terminate()
	for _, step := range []string{"repair", "then"} {
		if out, err := h.shell(book[step]); code(err) > map[string]int{"repair": 1}[step] { // 1: some of it is lost
			h.t.Errorf("%s: %v\n%s", book[step], err, out)
		}
	}
	h.p = h.s.Start(h.t)
	h.s.Ready(h.t)
	if out, err := h.shell(book["over"]); err != nil {
		h.t.Errorf("%s: %v\n%s", book["over"], err, out)
	}
}

// shell runs a command of the docs as it stands there.
func (h *diskServer) shell(command string) (string, error) {
	cmd := exec.CommandContext(h.t.Context(), "sh", "-c", command)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(h.s.Bin)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"ADMIN=http://"+h.api, "DATA="+h.data, "BACKUP="+h.backup, "CONFIG="+h.s.Config)
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

func (h *diskServer) metrics() string {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+h.s.Addr+"/metrics", nil)
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
