package gameday_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"eventserver/cmd/eventserver/e2e/harness"
)

// deployed is the path of a file that operators run.
func deployed(t *testing.T, name string) string {
	t.Helper()
	return harness.File(t, "deploy/"+name)
}

// prometheus is a real one, on a scaled copy of deploy/prometheus.
type prometheus struct {
	url     string
	targets string // file of its targets
	began   time.Time
}

// prometheusDir skips the test unless it was given a Prometheus.
func prometheusDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("EVENTSERVER_TEST_PROMETHEUS")
	if dir == "" {
		t.Skip("needs EVENTSERVER_TEST_PROMETHEUS, the directory of prometheus: make watch")
	}
	return dir
}

// scaled makes minutes of the rules into seconds: what an alert waits for, the
// windows of its expressions and the objectives, and nothing else.
func scaled(rules string, factor int) string {
	shorter := func(number, unit string) string {
		seconds, _ := strconv.Atoi(number)
		seconds *= map[string]int{"s": 1, "m": 60, "h": 3600}[unit]
		return strconv.Itoa(max(1, seconds/factor))
	}
	for _, what := range []string{`(\[)(\d+)([smh])(\])`, `(\bfor: )(\d+)([smh])(\n)`} {
		re := regexp.MustCompile(what)
		rules = re.ReplaceAllStringFunc(rules, func(s string) string {
			m := re.FindStringSubmatch(s)
			return m[1] + shorter(m[2], m[3]) + "s" + m[4]
		})
	}
	re := regexp.MustCompile(`vector\((\d+)\)`)
	return re.ReplaceAllStringFunc(rules, func(s string) string {
		return "vector(" + shorter(re.FindStringSubmatch(s)[1], "s") + ")"
	})
}

func TestScaled(t *testing.T) {
	in := "expr: rate(a_5m[5m]) > on () vector(900)\nfor: 10m\n- record: x:rate5m\n  expr: b[1h]\n  annotations: {description: waits for 2m}\n"
	want := "expr: rate(a_5m[5s]) > on () vector(15)\nfor: 10s\n- record: x:rate5m\n  expr: b[60s]\n  annotations: {description: waits for 2m}\n"
	if got := scaled(in, 60); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// startPrometheus runs it on the deployed configuration, scaled, without
// targets yet.
func startPrometheus(t *testing.T, dir string, factor int) *prometheus {
	t.Helper()
	home, addr := t.TempDir(), harness.FreeAddr(t)
	p := &prometheus{url: "http://" + addr, targets: filepath.Join(home, "targets.json"), began: time.Now()}
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(deployed(t, "prometheus/"+name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, name := range []string{"rules/recording.yml", "rules/alerts.yml"} {
		write(name, scaled(read(name), factor))
	}
	config := regexp.MustCompile(`(_interval: )\d+s`).ReplaceAllString(read("prometheus.yml"), "${1}1s")
	config = regexp.MustCompile(`static_configs:\n +- targets: .*\n`).ReplaceAllString(config, "file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]\n")
	if !strings.Contains(config, "file_sd_configs") {
		t.Fatalf("prometheus.yml has changed in a way this test does not know:\n%s", config)
	}
	write("prometheus.yml", config)
	p.scrape(t)

	cmd := exec.CommandContext(context.Background(), filepath.Join(dir, "prometheus"), "--config.file="+filepath.Join(home, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(home, "data"), "--web.listen-address="+addr, "--log.level=warn")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", log.String())
		}
	})
	harness.WaitFor(t, 30*time.Second, "Prometheus", func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// scrape makes Prometheus scrape these addresses.
func (p *prometheus) scrape(t *testing.T, addrs ...string) {
	t.Helper()
	b, err := json.Marshal([]map[string][]string{{"targets": append([]string{}, addrs...)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.targets+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.targets+".new", p.targets); err != nil {
		t.Fatal(err)
	}
}

// sample is one series of an answer.
type sample struct{ Metric map[string]string }

// query is an instant query.
func (p *prometheus) query(expr string) ([]sample, error) {
	resp, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          struct{ Result []sample }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("query %s: %s", expr, answer.Error)
	}
	return answer.Data.Result, nil
}

// alert is what distinguishes one alert here.
type alert struct{ name, destination string }

// firing are the alerts that fire now, or that did at any time.
func (p *prometheus) firing(t *testing.T, ever bool) map[alert]bool {
	t.Helper()
	expr := `ALERTS{alertstate="firing"}`
	if ever {
		expr = fmt.Sprintf("count_over_time(%s[%ds])", expr, int(time.Since(p.began).Seconds())+1)
	}
	samples, err := p.query(expr)
	if err != nil {
		t.Fatal(err)
	}
	out := map[alert]bool{}
	for _, s := range samples {
		out[alert{s.Metric["alertname"], s.Metric["destination"]}] = true
	}
	return out
}

// alertNames are all alerts of the deployed rules.
func alertNames(t *testing.T) (names []string) {
	t.Helper()
	b, err := os.ReadFile(deployed(t, "prometheus/rules/alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	for _, g := range c.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
		}
	}
	return names
}
