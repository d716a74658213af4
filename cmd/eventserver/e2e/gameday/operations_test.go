package gameday_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// operations are the commands of docs/operations.md, by what they are for.
func operations(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(harness.File(t, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```sh (\\w+)\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		if commands[m[1]] != "" {
			t.Errorf("docs/operations.md has two blocks %q", m[1])
		}
		commands[m[1]] = m[2]
	}
	return commands
}

// docs/operations.md to the letter: a backup of a server that runs, and a restore.
func TestBackupAndRestore(t *testing.T) {
	do := operations(t)
	h := newDiskServer(t, harness.Program(t))
	run := func(name string) {
		t.Helper()
		if out, err := h.shell(do[name]); err != nil || do[name] == "" {
			t.Fatalf("%s: %q: %v\n%s", name, do[name], err, out)
		}
	}
	run("backup")
	h.post(600, 700) // after the backup
	h.await(700)
	if out, err := h.shell(do["backup"]); code(err) != 1 || !strings.Contains(out, "is not empty") {
		t.Errorf("a second backup to the same place: %v\n%s", err, out)
	}
	h.p.Terminate()
	run("restore")
	h.p = h.s.Start(t)
	h.s.Ready(t)
	h.post(700, 800)
	h.await(800)

	// What was accepted by the time of the backup is there.
	if out, err := h.shell(`eventserver explain e17 --admin "$ADMIN"`); err != nil || !strings.Contains(out, "delivered") {
		t.Errorf("an event of before: %v\n%s", err, out)
	}
	if out, err := h.shell(`eventserver explain e650 --admin "$ADMIN"`); code(err) != 1 {
		t.Errorf("an event of after: %v\n%s", err, out)
	}

	// Of a server that is stopped.
	h.p.Terminate()
	run("stopped")
}

// A disk that goes bad under a server: it says so, a start refuses, and a repair
// copies what can be read.
func TestDamageFromTheShell(t *testing.T) {
	do := operations(t)
	h := newDiskServer(t, harness.Program(t))
	h.damage()
	harness.WaitFor(t, 30*time.Second, "the damage to be met", func() bool {
		m := h.metrics()
		return strings.Contains(m, "\neventserver_broker_damaged 1\n") && regexp.MustCompile(`\neventserver_unreadable_messages_total\{destination="hurt"\} [1-9]`).MatchString(m)
	})
	out, err := h.shell(`eventserver destinations --check --admin "$ADMIN"`)
	if code(err) != 1 || !regexp.MustCompile(`hurt: \d+ records cannot be read and were passed over, the last at topic events, partition \d, offsets \d+ to \d+`).MatchString(out) ||
		!strings.Contains(out, "has damaged files") || !strings.Contains(out, ".sst") {
		t.Errorf("the check of a damaged broker: %v\n%s", err, out)
	}
	h.post(600, 700) // it goes on with what is whole
	h.await(700)

	h.p.Terminate()
	if p, err := h.s.Launch(t); err == nil {
		p.Terminate()
		t.Error("it started on damaged tables")
	} else if !strings.Contains(err.Error(), ".sst is damaged") || !strings.Contains(err.Error(), "eventserver repair "+h.data) {
		t.Errorf("the start says %v", err)
	}
	out, err = h.shell(do["repair"])
	if code(err) != 1 || !strings.Contains(out, "copied: topic events") || !strings.Contains(out, "LOST: partition") || !strings.Contains(out, "some of it is lost: see above") {
		t.Errorf("the repair: %v\n%s", err, out)
	}
	if out, err := h.shell(do["repaired"]); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.p = h.s.Start(t)
	h.s.Ready(t)
	h.post(700, 800)
	h.await(800)
	if out, err := h.shell(`eventserver destinations --check --admin "$ADMIN"`); err != nil {
		t.Errorf("after the repair: %v\n%s", err, out)
	}
}
