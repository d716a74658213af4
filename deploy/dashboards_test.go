package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what of Grafana's model matters here.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Tags          []string
	Templating    struct{ List []variable }
	Annotations   struct {
		List []struct {
			Name, Expr string
			Datasource source
		}
	}
	Panels []dashboardPanel
}

type source struct{ Type, UID string }

type variable struct {
	Name, Type, AllValue string
	Query                any // text, or an object
	Current              struct{ Value any }
	Datasource           source
}

type dashboardPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
	}
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	all := map[string]dashboard{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[filepath.Base(f)] = d
	}
	return all
}

// The dashboards are what Grafana reads: one uid each, variables that the
// queries use, and panels that each have a title, a unit and a place of their own.
func TestDashboards(t *testing.T) {
	provisioned, err := os.ReadFile("grafana/provisioning/datasources/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	uids := map[string]string{}
	ours := source{Type: "prometheus", UID: "${datasource}"}
	for file, d := range dashboards(t) {
		if d.UID == "" || uids[d.UID] != "" || d.Title == "" || d.SchemaVersion < 36 || !slices.Contains(d.Tags, "eventserver") {
			t.Errorf("%s: uid %q (also of %q), title %q, schemaVersion %d, tags %v", file, d.UID, uids[d.UID], d.Title, d.SchemaVersion, d.Tags)
		}
		uids[d.UID] = file
		vars := map[string]bool{"__rate_interval": true}
		for _, v := range d.Templating.List {
			vars[v.Name] = true
			switch {
			case v.Type == "datasource":
				if !strings.Contains(string(provisioned), "uid: "+v.Current.Value.(string)+",") {
					t.Errorf("%s: data source %v is not provisioned", file, v.Current.Value)
				}
			case v.Type != "query" || v.Datasource != ours:
				t.Errorf("%s: variable %s has type %s and data source %v", file, v.Name, v.Type, v.Datasource)
			}
		}
		if !vars["datasource"] || !vars["job"] {
			t.Errorf("%s lacks the variables datasource and job", file)
		}
		d.checkPanels(t, file, ours, vars)
	}
}

func (d dashboard) checkPanels(t *testing.T, file string, ours source, vars map[string]bool) {
	t.Helper()
	used := regexp.MustCompile(`\$\{?(\w+)`)
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: panel id %d twice, or none", file, p.ID)
		}
		ids[p.ID] = true
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s, panel %d: title %q, description %q, unit %q, %d queries", file, p.ID, p.Title, p.Description, p.FieldConfig.Defaults.Unit, len(p.Targets))
		}
		if g := p.GridPos; g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			t.Errorf("%s, %s: no place in the grid of 24 columns: %+v", file, p.Title, g)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" && other != p.Title {
					t.Fatalf("%s: %s lies over %s", file, p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if q.Expr == "" || q.LegendFormat == "" || refs[q.RefID] || q.Datasource != ours || p.Datasource != ours {
				t.Errorf("%s, %s: query %q, legend %q, refId %q, data source %v", file, p.Title, q.Expr, q.LegendFormat, q.RefID, q.Datasource)
			}
			refs[q.RefID] = true
			for _, m := range used.FindAllStringSubmatch(q.Expr, -1) {
				if !vars[m[1]] && m[1] != "1" { // $1 is label_replace's
					t.Errorf("%s, %s: there is no variable %s", file, p.Title, m[1])
				}
			}
		}
	}
}

// Every query asks for metrics that exist, ours or those of the rules.
func TestDashboardsAskForWhatExists(t *testing.T) {
	known := metricNames(t)
	for _, r := range rules(t) {
		if r.Record != "" {
			known[r.Record] = true
		}
	}
	name := regexp.MustCompile(`(?:\w+:)?eventserver[_:][\w:]+`)
	for file, d := range dashboards(t) {
		exprs := []string{}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				exprs = append(exprs, q.Expr)
			}
		}
		for _, v := range d.Templating.List {
			if q, ok := v.Query.(map[string]any); ok {
				exprs = append(exprs, q["query"].(string))
			}
		}
		for _, e := range exprs {
			for _, m := range name.FindAllString(e, -1) {
				if !known[m] {
					t.Errorf("%s asks for %s, which does not exist: %s", file, m, e)
				}
			}
		}
	}
}
