package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The benchmark runs the real program and another in turn, prints a table and
// writes what it measured.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "bench.json"), filepath.Join(dir, "other")
	if err := os.Symlink(binary(t), other); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary(t), "bench", "--broker", "memory", "--users", "20", "--connections", "4", "--batch", "5", "--deliver-batch", "5",
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
// and delivers them all at last.
func TestBenchStarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	out, err := exec.CommandContext(t.Context(), binary(t), "bench", "--undelivered", "200", "--starts", "1", "--users", "20", "--connections", "4", "--batch", "5",
		"--json", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report struct {
		Starts []struct {
			After string
			Ready int `json:"ready_ns"`
			First int `json:"first_ns"`
		}
		Runs []struct {
			Drained bool
			Verdict struct{ Accepted, Delivered, Lost int }
		}
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Starts) != 2 || report.Starts[0].After != "a stop" || report.Starts[1].After != "kill -9" || len(report.Runs) != 1 {
		t.Fatalf("%s", b)
	}
	for _, s := range report.Starts {
		if s.Ready <= 0 || s.First <= 0 {
			t.Errorf("%s", b)
		}
	}
	if r := report.Runs[0]; !r.Drained || r.Verdict.Accepted < 220 || r.Verdict.Delivered != 2*r.Verdict.Accepted || r.Verdict.Lost != 0 {
		t.Errorf("%s\n%s", b, out)
	}
}
