package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/cmd/eventserver/e2e/harness"
)

// The benchmark runs the real program and another in turn, prints a table and
// writes what it measured.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "bench.json"), filepath.Join(dir, "other")
	if err := os.Symlink(harness.Program(t), other); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), harness.Program(t), "bench", "--broker", "memory", "--users", "20", "--connections", "4", "--batch", "5", "--deliver-batch", "5",
		"--warmup", "200ms", "--duration", "500ms", "--against", other, "--json", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report struct {
		Runs []struct {
			Program    string
			Restart    int     `json:"restart_ns"`
			Deliveries float64 `json:"deliveries_per_second"`
			Drained    bool
			Verdict    struct{ Accepted, Delivered, Lost int }
		}
		Ratios []struct{ Median float64 }
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Runs) != 2 || report.Runs[0].Program == other || report.Runs[1].Program != other || len(report.Ratios) != 1 || report.Ratios[0].Median <= 0 {
		t.Fatalf("%s", b)
	}
	for _, r := range report.Runs {
		if r.Deliveries <= 0 || r.Restart <= 0 || !r.Drained || r.Verdict.Accepted == 0 || r.Verdict.Delivered != 2*r.Verdict.Accepted || r.Verdict.Lost != 0 {
			t.Errorf("%s", b)
		}
	}
	if !strings.Contains(string(out), "lost 0, order breaks 0") {
		t.Errorf("%s", out)
	}
}

// The benchmark of starts ends the program with undelivered events, starts it again,
// and delivers them all at last. So does the program by hand.
func TestBenchStarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	out, err := exec.CommandContext(t.Context(), harness.Program(t), "bench", "--undelivered", "200", "--starts", "1", "--by-hand", "--users", "20", "--connections", "4", "--batch", "5",
		"--json", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report struct {
		Starts []struct {
			Program, After string
			Ready          int `json:"ready_ns"`
			First          int `json:"first_ns"`
		}
		Runs []struct {
			Drained bool
			Verdict struct {
				Accepted, Delivered, Lost int
				OrderBreaks               int `json:"order_breaks"`
			}
		}
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Starts) != 4 || report.Starts[0].After != "a stop" || report.Starts[2].After != "kill -9" || report.Starts[3].Program != "by hand" || len(report.Runs) != 2 {
		t.Fatalf("%s", b)
	}
	for _, s := range report.Starts {
		if s.Ready <= 0 || s.First <= 0 {
			t.Errorf("%s", b)
		}
	}
	for _, r := range report.Runs {
		if !r.Drained || r.Verdict.Accepted < 220 || r.Verdict.Delivered != 2*r.Verdict.Accepted || r.Verdict.Lost != 0 || r.Verdict.OrderBreaks != 0 {
			t.Errorf("%s\n%s", b, out)
		}
	}
}

// The program by hand and a quiet run stand beside one with failing users and dead
// destinations. Each loses nothing, and leaves its profiles where there was no directory.
func TestBenchByHand(t *testing.T) {
	dir := t.TempDir()
	file, prof := filepath.Join(dir, "bench.json"), filepath.Join(dir, "new", "profiles")
	out, err := exec.CommandContext(t.Context(), harness.Program(t), "bench", "--by-hand", "--failing", "0.1", "--dead", "1", "--fill", "100",
		"--users", "40", "--connections", "4", "--rate", "200", "--concurrency", "32", "--warmup", "200ms", "--duration", "500ms", "--profile", prof, "--json", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	type run struct {
		Name       string
		Deliveries float64 `json:"deliveries_per_second"`
		P99        int     `json:"p99_ns"`
		IngestP99  int     `json:"ingest_p99_ns"`
		Peak       int     `json:"server_peak_rss_bytes"`
		Goroutines int
		Failed     int `json:"failed_attempts"`
		Drained    bool
		Verdict    struct {
			Accepted, Delivered, Lost int
			OrderBreaks               int `json:"order_breaks"`
		}
	}
	var report struct {
		Runs   []run
		Ratios []struct{ To string }
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"key", "by hand", "quiet"}
	if len(report.Runs) != len(want) || len(report.Ratios) != 2 || report.Ratios[0].To != want[1] || report.Ratios[1].To != want[2] {
		t.Fatalf("%s", out)
	}
	for i, r := range report.Runs {
		quiet, byHand := i == 2, i == 1
		if r.Name != want[i] || !r.Drained || r.Verdict.Accepted < 100 || r.Verdict.Lost != 0 || r.Verdict.OrderBreaks != 0 ||
			r.Deliveries <= 0 || r.P99 <= 0 || r.IngestP99 <= 0 || r.Peak <= 0 ||
			quiet != (r.Failed == 0) || quiet != (r.Verdict.Delivered == 2*r.Verdict.Accepted) || byHand != (r.Goroutines == 0) {
			t.Errorf("%+v\n%s", r, out)
		}
	}
	if files, err := filepath.Glob(filepath.Join(prof, "*.pprof")); err != nil || len(files) != 6 {
		t.Errorf("%q, %v", files, err)
	}
}
