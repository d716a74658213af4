package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// dashboard is what is drawn of Grafana's model.
type dashboard struct {
	Title      string
	Templating struct {
		List []struct {
			Name, AllValue string
			Current        struct{ Value any }
		}
	}
	Panels []panel
}

type panel struct {
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Decimals   *int
			Max        *float64
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
	}
	Targets []struct{ Expr, LegendFormat string }

	series []series
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	prom := flag.String("prometheus", "http://127.0.0.1:9090", "address of Prometheus")
	file := flag.String("dashboard", "../grafana/dashboards/overview.json", "the dashboard")
	from := flag.String("from", "", "begin, RFC 3339; default 30 minutes before the end")
	to := flag.String("to", "", "end, RFC 3339; default now")
	rate := flag.String("rate-interval", "20s", "what $__rate_interval stands for")
	out := flag.String("out", "dashboard.png", "file to write")
	flag.Parse()

	end, err := moment(*to, time.Now())
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	begin, err := moment(*from, end.Add(-30*time.Minute))
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	return render(ctx, *prom, *file, begin, end, *rate, *out)
}

// render draws a dashboard with what a Prometheus has from begin to end.
func render(ctx context.Context, prom, file string, begin, end time.Time, rate, out string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	fill := d.variables(rate)
	var errs []error
	for i := range d.Panels {
		p := &d.Panels[i]
		for _, q := range p.Targets {
			got, err := queryRange(ctx, prom, fill.Replace(q.Expr), begin, end)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", p.Title, err))
			}
			for _, s := range got {
				s.name = legend(q.LegendFormat, s.labels)
				p.series = append(p.series, s)
			}
		}
		if len(p.series) == 0 {
			errs = append(errs, fmt.Errorf("%s: no data", p.Title))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	note := fmt.Sprintf("Drawn by deploy/render from the queries of deploy/grafana/dashboards/%s and a Prometheus that watched `make picture`, %s to %s UTC. Not a screenshot of Grafana.",
		filepath.Base(file), begin.UTC().Format("2006-01-02 15:04:05"), end.UTC().Format("15:04:05"))
	return drawAll(out, d, begin, end, note)
}

func moment(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	return time.Parse(time.RFC3339, text)
}

// variables puts in what Grafana would: each variable's current value.
func (d dashboard) variables(rate string) *strings.Replacer {
	pairs := []string{"$__rate_interval", rate}
	for _, v := range d.Templating.List {
		value := fmt.Sprint(v.Current.Value)
		if value == "$__all" {
			value = v.AllValue
		}
		pairs = append(pairs, "${"+v.Name+"}", value, "$"+v.Name, value)
	}
	return strings.NewReplacer(pairs...)
}

// legend fills in {{label}}.
func legend(format string, labels map[string]string) string {
	for name, value := range labels {
		format = strings.ReplaceAll(format, "{{"+name+"}}", value)
	}
	return strings.TrimSpace(regexp.MustCompile(`\{\{\w+\}\}`).ReplaceAllString(format, "")) // a label that is not there is empty
}
