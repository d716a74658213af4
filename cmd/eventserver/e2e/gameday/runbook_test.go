package gameday_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"eventserver/cmd/eventserver/e2e/harness"
)

// runbook is a section of docs/runbooks.md: its commands by what they are for.
type runbook map[string]string

// rehearsal is a row of the table "Game day" there.
type rehearsal struct{ alert, cause, repair string }

// readRunbooks reads the sections by their anchors, and the table by incident.
func readRunbooks(t *testing.T) (map[string]runbook, map[string]rehearsal) {
	t.Helper()
	b, err := os.ReadFile(harness.File(t, "docs/runbooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	books, table := map[string]runbook{}, map[string]rehearsal{}
	block := regexp.MustCompile("(?s)```sh (\\w+)\n(.*?)\n```")
	row := regexp.MustCompile("(?m)^\\| ([a-z ]+) \\| \\[(\\w+)\\]\\(#(\\w+)\\) \\| `([^`]+)` \\| [^|]+ \\| `([^`]+)` \\|$")
	for _, section := range strings.Split(string(b), "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		if name == "Game day" {
			for _, m := range row.FindAllStringSubmatch(body, -1) {
				if m[3] != strings.ToLower(m[2]) {
					t.Errorf("%s: the link goes to %s, not to %s", m[1], m[3], m[2])
				}
				table[m[1]] = rehearsal{m[2], m[4], m[5]}
			}
			continue
		}
		book := runbook{}
		for _, m := range block.FindAllStringSubmatch(body, -1) {
			book[m[1]] = m[2]
		}
		books[strings.ToLower(name)] = book
	}
	for name, r := range table {
		if b := books[strings.ToLower(r.alert)]; b["cause"] != r.cause || b["repair"] != r.repair {
			t.Errorf("the table's commands for %q are not those of the section %s:\n%s\n%s", name, r.alert, b["cause"], b["repair"])
		}
	}
	return books, table
}

// page is an alert as the operator gets it.
type page struct {
	State               string
	Labels, Annotations map[string]string
}

// pages are the alerts of this name that fire now.
func (p *prometheus) pages(name string) (out []page, err error) {
	resp, err := http.Get(p.url + "/api/v1/alerts")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Data struct{ Alerts []page } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the alerts of Prometheus: %w", err)
	}
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" && a.Labels["alertname"] == name {
			out = append(out, a)
		}
	}
	return out, nil
}

// shell is the operator's: the variables of the runbooks' head, and
// the program on the PATH.
type shell struct {
	bin string
	env map[string]string
}

// run runs a command of a runbook as it stands, and returns what it printed and
// its exit code.
func (s shell) run(ctx context.Context, command string) (string, int, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(s.bin)+string(os.PathListSeparator)+os.Getenv("PATH"))
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode(), nil
	}
	return string(out), 0, err
}

// The table of the game day names commands that stand in the sections.
func TestGameDayTable(t *testing.T) {
	if _, table := readRunbooks(t); len(table) != 10 {
		t.Errorf("%d incidents in the table of docs/runbooks.md, want 10: %v", len(table), table)
	}
}
