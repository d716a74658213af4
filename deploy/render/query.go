package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gonum.org/v1/plot/plotter"
)

// series is one line of a panel.
type series struct {
	name   string
	labels map[string]string
	points plotter.XYs // x in unix seconds; no NaN
}

// last is the newest value; NaN without any.
func (s series) last() float64 {
	if len(s.points) == 0 {
		return math.NaN()
	}
	return s.points[len(s.points)-1].Y
}

// queryRange asks the HTTP API of Prometheus.
func queryRange(ctx context.Context, prom, expr string, begin, end time.Time) ([]series, error) {
	const most = 400 // points of a line
	step := max(1, math.Ceil(end.Sub(begin).Seconds()/most))
	form := url.Values{"query": {expr}, "start": {unix(begin)}, "end": {unix(end)}, "step": {strconv.FormatFloat(step, 'f', -1, 64)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, prom+"/api/v1/query_range?"+form.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	var out []series
	for _, r := range answer.Data.Result {
		s := series{labels: r.Metric}
		for _, v := range r.Values {
			x, _ := v[0].(float64)
			text, _ := v[1].(string)
			y, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(y) || math.IsInf(y, 0) {
				continue
			}
			s.points = append(s.points, plotter.XY{X: x, Y: y})
		}
		out = append(out, s)
	}
	return out, nil
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
