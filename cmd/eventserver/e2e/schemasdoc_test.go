package e2e_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

const schemasDoc = "docs/schemas.md"

// block is one fenced block of a numbered step.
type block struct {
	line       int
	lang, text string
	before     string // the line of text above it
}

// steps reads the fenced blocks of "Adding an event type".
func steps(t *testing.T) []block {
	t.Helper()
	doc, err := os.ReadFile(harness.File(t, schemasDoc))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "\n## Adding an event type\n")
	if !ok {
		t.Fatal("the section is gone")
	}
	offset := strings.Count(string(doc), "\n") - strings.Count(rest, "\n")
	var blocks []block
	open, above := false, ""
	for i, line := range strings.Split(rest, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case !open && strings.HasPrefix(trimmed, "```"):
			open = true
			blocks = append(blocks, block{line: offset + i + 1, lang: strings.TrimPrefix(trimmed, "```"), before: above})
		case open && trimmed == "```":
			open = false
		case open:
			b := &blocks[len(blocks)-1]
			b.text += strings.TrimPrefix(line, "   ") + "\n"
		case trimmed != "":
			above = trimmed
		}
	}
	return blocks
}

var (
	quotedPath = regexp.MustCompile("`([^`]+\\.[a-z]+)`")
	anID       = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`)
)

// The documentation's steps are followed in a copy of the schemas: what it says
// to run is run, what it says to write is written, what it shows is what comes.
func TestAddingAnEventType(t *testing.T) {
	for _, tool := range []string{"sh", "git", "curl", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("there is no ", tool)
		}
	}
	root, bin, dir := harness.Root(t), harness.Program(t), t.TempDir()
	for _, part := range []string{"schemas", "app/schema", "app/jsonfault", "app/textfile"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(root, part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		harness.Write(t, dir, name, string(data))
	}
	addr := harness.FreeAddr(t)
	f := &reader{dir: dir, env: append(os.Environ(), "PATH="+filepath.Dir(bin)+string(os.PathListSeparator)+os.Getenv("PATH"), "GOFLAGS=-buildvcs=false")}
	f.sh(t, "git init -q && git add . && git -c user.name=t -c user.email=t@example.com -c commit.gpgsign=false commit -q -m before")
	blocks := steps(t)
	ran := 0
	for i, b := range blocks {
		text := strings.ReplaceAll(b.text, "127.0.0.1:8080", addr) // which may be taken here
		switch b.lang {
		case "sh":
			ran++
			if command, ok := strings.CutSuffix(strings.TrimSpace(text), " &"); ok {
				f.background(t, command)
				continue
			}
			out := f.sh(t, text)
			if i+1 == len(blocks) || blocks[i+1].lang != "text" {
				continue
			}
			// Other lines, such as those of go test, may follow what is shown.
			want := anID.ReplaceAllString(blocks[i+1].text, "ID")
			if got := anID.ReplaceAllString(out, "ID"); !strings.HasPrefix(got, want) && got+"\n" != want {
				t.Fatalf("%s:%d: %s\ngot  %s\nwant %s", schemasDoc, b.line, text, got, want)
			}
		case "text":
		default:
			path := quotedPath.FindAllStringSubmatch(b.before, -1)
			if path == nil {
				t.Fatalf("%s:%d: the text above names no file for this", schemasDoc, b.line)
			}
			harness.Write(t, dir, path[0][1], text)
		}
	}
	f.answer(t, addr)
	if len(blocks) != 20 || ran != 9 { // so that a fence that is not read is noticed
		t.Errorf("%d blocks, %d of them commands", len(blocks), ran)
	}
}

// answer checks the answer that the documentation has as an example of all.
func (f *reader) answer(t *testing.T, addr string) {
	t.Helper()
	doc, err := os.ReadFile(harness.File(t, schemasDoc))
	if err != nil {
		t.Fatal(err)
	}
	event := `{"type":"order.placed","orderId":"0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11","customerId":"ada","placedAt":"2026-01-31T12:00:00Z",` +
		`"status":"paid","lines":[{"sku":"BOOK-1","quantity":0,"price":{"amount":1250,"currency":"EUR"}}],"total":{"amount":0,"currency":"EUR"}}`
	got := f.sh(t, "curl -sS http://"+addr+"/v1/events -H 'Content-Type: application/json' -d '"+event+"'")
	if !strings.Contains(string(doc), "\n```json\n"+got+"```\n") {
		t.Errorf("%s has not this answer: %s", schemasDoc, got)
	}
}

// reader runs commands as the reader of the documentation does.
type reader struct {
	dir string
	env []string
}

func (f *reader) command(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = f.dir, f.env
	return cmd
}

// sh runs a script, and again for half a minute when it fails: an event may be on
// its way.
func (f *reader) sh(t *testing.T, script string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	var err error
	retry := strings.HasPrefix(script, "grep ")
	for deadline := time.Now().Add(30 * time.Second); ; {
		stdout.Reset()
		stderr.Reset()
		cmd := f.command(t.Context(), script)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err = cmd.Run(); err == nil || !retry || time.Now().After(deadline) {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// background starts a server and returns when it accepts events.
func (f *reader) background(t *testing.T, script string) {
	t.Helper()
	cmd := f.command(context.Background(), "exec "+script)
	accepting := make(chan struct{})
	cmd.Stderr = &textWatcher{text: "accepting events", seen: accepting}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := <-done; err != nil {
			t.Errorf("%s: %v", script, err)
		}
	})
	select {
	case <-accepting:
	case err := <-done:
		done <- err
		t.Fatalf("%s ended: %v", script, err)
	case <-time.After(time.Minute):
		t.Fatalf("%s does not accept events", script)
	}
}

// textWatcher closes seen when what is written to it holds a text.
type textWatcher struct {
	text string
	all  []byte
	once sync.Once
	seen chan struct{}
}

func (w *textWatcher) Write(p []byte) (int, error) {
	if w.all = append(w.all, p...); bytes.Contains(w.all, []byte(w.text)) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}
