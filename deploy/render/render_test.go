package main

import (
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestShow(t *testing.T) {
	for _, c := range []struct {
		v          float64
		unit, want string
	}{
		{0, "s", "0 s"}, {0.0000125, "s", "12.5 µs"}, {0.025, "s", "25 ms"}, {1.5, "s", "1.5 s"}, {900, "s", "15 min"},
		{1234, "reqps", "1.23k/s"}, {426, "short", "426"}, {12345678, "short", "12.3M"}, {1536, "bytes", "1.5 KiB"}, {0.5, "percentunit", "50 %"},
	} {
		if got := show(c.v, c.unit); got != c.want {
			t.Errorf("show(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestVariablesAndLegend(t *testing.T) {
	var d dashboard
	text := `{"templating": {"list": [{"name": "job", "current": {"value": "j"}}, {"name": "destination", "current": {"value": "$__all"}, "allValue": ".+"}]}}`
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	want := `rate(a{job="j", d=~".+"}[5s])`
	if got := d.variables("5s").Replace(`rate(a{job="$job", d=~"${destination}"}[$__rate_interval])`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := legend("p99 {{destination}}", map[string]string{"destination": "crm"}); got != "p99 crm" {
		t.Errorf("legend %q", got)
	}
}

// Every dashboard can be drawn, of a Prometheus that answers with one line with
// a hole in it.
func TestDraw(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	prom := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status": "success", "data": {"result": [{"metric": {"destination": "crm"}, "values": [[%d, "1"], [%d, "3"], [%d, "NaN"], [%d, "2"]]}]}}`,
			begin.Unix(), begin.Unix()+1, begin.Unix()+2, begin.Unix()+9)
	}))
	defer prom.Close()
	files, err := filepath.Glob("../grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, f := range files {
		out := filepath.Join(t.TempDir(), "out.png")
		if err := render(t.Context(), prom.URL, f, begin, begin.Add(time.Minute), "5s", out); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		file, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.DecodeConfig(file)
		_ = file.Close()
		if err != nil || img.Width != width*dpi/72 {
			t.Errorf("%s: %v, %d pixels wide", f, err, img.Width)
		}
	}
}
