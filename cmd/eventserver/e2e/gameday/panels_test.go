package gameday_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// panel is one of a Grafana dashboard.
type panel struct {
	Type, Title string
	Targets     []struct{ Expr string }
}

// dashboards are the deployed ones, by file name.
func dashboards(t *testing.T) map[string][]panel {
	t.Helper()
	files, err := filepath.Glob(deployed(t, "grafana/dashboards/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	out := map[string][]panel{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var d struct{ Panels []panel }
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[filepath.Base(f)] = d.Panels
	}
	return out
}

// filled puts in what Grafana does.
func filled(expr, destination string) string {
	return strings.NewReplacer("$__rate_interval", "5s", "$job", "eventserver", "$destination", destination, "$instance", ".+").Replace(expr)
}

// wantPanels fails the test for each query of a panel that returns nothing.
func (p *prometheus) wantPanels(t *testing.T, destination string) {
	t.Helper()
	n := 0
	for file, panels := range dashboards(t) {
		for _, panel := range panels {
			for _, q := range panel.Targets {
				n++
				got, err := p.query(filled(q.Expr, destination))
				switch {
				case err != nil:
					t.Errorf("%s, %s: %v", file, panel.Title, err)
				case len(got) == 0:
					t.Errorf("%s, %s: no data for %s", file, panel.Title, filled(q.Expr, destination))
				}
			}
		}
	}
	t.Logf("%d queries of panels returned data", n)
}
