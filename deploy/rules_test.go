package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// rule is one rule of deploy/prometheus/rules.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	files, err := filepath.Glob("prometheus/rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, f := range files {
		var c struct{ Groups []struct{ Rules []rule } }
		parse(t, f, &c)
		for _, g := range c.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func parse(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// runbooks are the sections of docs/runbooks.md, each with its commands: cause,
// repair and over.
func runbooks(t *testing.T) map[string]map[string]string {
	t.Helper()
	b, err := os.ReadFile("../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	block := regexp.MustCompile("(?s)```sh (\\w+)\n(.*?)\n```")
	for _, section := range strings.Split(string(b), "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		out[name] = map[string]string{}
		for _, m := range block.FindAllStringSubmatch(body, -1) {
			if out[name][m[1]] != "" {
				t.Errorf("docs/runbooks.md, %s: two blocks %q, want one command", name, m[1])
			}
			out[name][m[1]] = m[2]
		}
	}
	return out
}

// Who is woken by an alert finds in it the one command to run, and a runbook
// with what comes after.
func TestAlertsHaveRunbooks(t *testing.T) {
	books := runbooks(t)
	command := regexp.MustCompile("Run `(eventserver|promtool) ")
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if r.For == "" || r.Annotations["summary"] == "" || !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
			t.Errorf("%s: for %q, summary %q, severity %q: one is missing or not known", r.Alert, r.For, r.Annotations["summary"], r.Labels["severity"])
		}
		if !command.MatchString(r.Annotations["description"]) {
			t.Errorf("%s: the description names no command to run", r.Alert)
		}
		if want := "docs/runbooks.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		book, ok := books[r.Alert]
		if !ok {
			t.Errorf("docs/runbooks.md has no section %s", r.Alert)
		}
		for _, what := range []string{"cause", "repair", "over"} {
			if c := book[what]; c == "" || strings.Contains(c, "\n") {
				t.Errorf("docs/runbooks.md, %s: %q is not one command of a block \"sh %s\"", r.Alert, c, what)
			}
		}
		delete(books, r.Alert)
	}
	delete(books, "Game day") // a table, which the game day itself holds against the sections
	for _, name := range slices.Sorted(maps.Keys(books)) {
		t.Errorf("docs/runbooks.md has a section %s, and there is no such alert", name)
	}
}

// A rule asks for metrics that exist: a renamed one would never fire.
func TestRulesAskForWhatExists(t *testing.T) {
	known := metricNames(t)
	all := rules(t)
	for _, r := range all {
		if r.Record != "" {
			known[r.Record] = true
		}
	}
	name := regexp.MustCompile(`(?:\w+:)?eventserver[_:][\w:]+`)
	for _, r := range all {
		for _, m := range name.FindAllString(r.Expr, -1) {
			if !known[m] {
				t.Errorf("%s%s asks for %s, which does not exist", r.Record, r.Alert, m)
			}
		}
	}
}

// Nothing is recorded that no alert, rule or dashboard asks for.
func TestRecordedIsUsed(t *testing.T) {
	var asked strings.Builder
	all := rules(t)
	for _, r := range all {
		asked.WriteString(r.Expr + "\n")
	}
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				asked.WriteString(q.Expr + "\n")
			}
		}
	}
	for _, r := range all {
		if r.Record != "" && !strings.Contains(asked.String(), r.Record) {
			t.Errorf("nothing asks for %s", r.Record)
		}
	}
}

// Every alert is tested by promtool: it does not fire, fires, and clears.
func TestAlertsHaveTests(t *testing.T) {
	files, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	seen := map[string]string{} // by alert: - does not fire, + fires, in the order of the file
	for _, f := range files {
		var c struct {
			Tests []struct {
				Alerts []struct {
					Name string           `yaml:"alertname"`
					Exp  []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		parse(t, f, &c)
		for _, test := range c.Tests {
			for _, a := range test.Alerts {
				seen[a.Name] += map[bool]string{false: "+", true: "-"}[len(a.Exp) == 0]
			}
		}
	}
	for _, r := range rules(t) {
		if r.Alert != "" && !regexp.MustCompile(`-\+-`).MatchString(seen[r.Alert]) {
			t.Errorf("%s: its tests are %q, want at least one each before it fires (-), while it does (+) and after (-)", r.Alert, seen[r.Alert])
		}
	}
}

// What Prometheus itself says of the configuration, the rules and their tests.
func TestPromtool(t *testing.T) {
	dir := os.Getenv("EVENTSERVER_TEST_PROMETHEUS")
	if dir == "" {
		t.Skip("needs EVENTSERVER_TEST_PROMETHEUS, the directory of promtool: make watch")
	}
	tests, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "config", "prometheus/prometheus.yml"}, append([]string{"test", "rules"}, tests...)} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "promtool"), args...).CombinedOutput()
		t.Logf("promtool %s\n%s", strings.Join(args, " "), out)
		if err != nil {
			t.Errorf("promtool %s: %v", strings.Join(args, " "), err)
		}
	}
}
