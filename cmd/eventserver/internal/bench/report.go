package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"eventserver/router/plural"
)

// Report is what Run measured.
type Report struct {
	Time        time.Time `json:"time"`
	CPUs        int       `json:"cpus"`
	Go          string    `json:"go"`
	Users       int       `json:"users"`
	Connections int       `json:"connections"`
	Size        int       `json:"event_bytes"`
	Batch       int       `json:"batch"`
	Rate        float64   `json:"rate"`
	Dests       int       `json:"destinations"`
	DelivBatch  int       `json:"deliver_batch"`
	Failing     float64   `json:"failing_users"`
	Dead        int       `json:"dead_destinations"`
	Hanging     int       `json:"hanging_destinations"`
	Fill        int       `json:"fill"`
	Schemas     bool      `json:"schemas"`
	Runs        []Result  `json:"runs"`
	Ratios      []Ratio   `json:"ratios,omitempty"`
	Starts      []Start   `json:"starts,omitempty"`

	out   io.Writer
	width int // of the first column
}

// Ratio compares the first program and ordering with another, pair by pair: the
// median of each, and for the deliveries a second the least and the most too.
type Ratio struct {
	Latency          time.Duration `json:"receiver_latency_ns"`
	Of, To           string
	Min, Median, Max float64
	EventCPU         float64 `json:"server_cpu_per_event"` // 0 where it was not measured
	P99              float64 `json:"p99"`
	IngestP99        float64 `json:"ingest_p99"`
}

func newReport(cfg Config) *Report {
	r := &Report{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Users: cfg.Users, Connections: cfg.Connections,
		Size: cfg.Size, Batch: cfg.Batch, Rate: cfg.Rate, Dests: cfg.Destinations, DelivBatch: cfg.DeliverBatch, Failing: cfg.Failing, Dead: cfg.Dead, Hanging: cfg.Hanging, Fill: cfg.Fill, Schemas: cfg.Schemas,
		out: cfg.Out, width: len("partition")}
	for _, s := range cfg.subjects() {
		r.width = max(r.width, len(s.name(cfg.Program)))
	}
	fmt.Fprintf(r.out, "%s, %s, %d-byte events, batches of %d in and %d out, %s%s, rate %s, %s\n",
		plural.Count(r.Users, "user"), plural.Count(r.Connections, "connection"), r.Size, r.Batch, r.DelivBatch, plural.Count(r.Dests, "destination"), r.trouble(), rate(r.Rate), plural.Count(r.CPUs, "CPU"))
	fmt.Fprintf(r.out, "%-*s %9s %5s %13s %11s %10s %10s %10s %6s %9s %8s %10s %8s %8s  %s\n", r.width,
		"run", "receiver", "pair", "deliveries/s", "accepted/s", "p50", "p99", "ingest p99", "cores", "CPU/event", "peak MiB", "goroutines", "ready", "restart", "verdict")
	return r
}

// trouble is what the quiet run is without, and what was accepted before.
func (r *Report) trouble() string {
	var b strings.Builder
	if r.Dead > 0 {
		fmt.Fprintf(&b, " and %d that refuse", r.Dead)
	}
	if r.Hanging > 0 {
		fmt.Fprintf(&b, " and %d that hang", r.Hanging)
	}
	if r.Failing > 0 {
		fmt.Fprintf(&b, ", %g %% of the users failing", 100*r.Failing)
	}
	if r.Fill > 0 {
		fmt.Fprintf(&b, ", %s before", plural.Count(r.Fill, "event"))
	}
	return b.String()
}

func rate(r float64) string {
	if r == 0 {
		return "as fast as answered"
	}
	return fmt.Sprintf("%.0f/s", r)
}

func (r *Report) add(x Result) {
	r.Runs = append(r.Runs, x)
	verdict := fmt.Sprintf("lost %d, order breaks %d, duplicates %d", x.Verdict.Lost, x.Verdict.OrderBreaks, x.Verdict.Duplicates)
	if !x.Drained && !x.Stuck {
		verdict = fmt.Sprintf("%d under way at the end, order breaks %d, duplicates %d", x.Verdict.Lost, x.Verdict.OrderBreaks, x.Verdict.Duplicates)
	}
	if x.Failed > 0 {
		verdict += fmt.Sprintf(", %s refused by receivers", plural.Count(int(x.Failed), "attempt"))
	}
	goroutines := "-"
	if x.Goroutines > 0 {
		goroutines = strconv.FormatInt(x.Goroutines, 10)
	}
	fmt.Fprintf(r.out, "%-*s %9v %5d %13.0f %11.0f %10v %10v %10v %6.2f %9v %8.0f %10s %8v %8v  %s\n", r.width, x.Name, x.Latency, x.Pair, x.Deliveries, x.Events,
		round(x.P50), round(x.P99), round(x.IngestP99), x.CPU, x.EventCPU.Round(time.Microsecond), float64(x.PeakRSS)/(1<<20), goroutines, x.Ready.Round(time.Millisecond), x.Restart.Round(time.Millisecond), verdict)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// finish computes the ratios of the first program and ordering to each other.
func (r *Report) finish() {
	runs := map[time.Duration]map[string][]Result{}
	var latencies []time.Duration
	var names []string
	for _, x := range r.Runs {
		if runs[x.Latency] == nil {
			runs[x.Latency] = map[string][]Result{}
			latencies = append(latencies, x.Latency)
		}
		if !slices.Contains(names, x.Name) {
			names = append(names, x.Name)
		}
		runs[x.Latency][x.Name] = append(runs[x.Latency][x.Name], x)
	}
	for i, l := range latencies {
		first := runs[l][names[0]]
		for _, other := range names[1:] {
			r.compare(l, names[0], other, first, runs[l][other])
		}
		if i > 0 {
			r.compare(l, names[0], fmt.Sprintf("%s with receiver %v", names[0], latencies[0]), first, runs[latencies[0]][names[0]])
		}
	}
}

// compare adds and prints the ratios of the pairs of two lists.
func (r *Report) compare(latency time.Duration, ofName, toName string, of, to []Result) {
	rates := ratios(of, to, func(x Result) float64 { return x.Deliveries })
	middle := func(value func(Result) float64) float64 { return median(ratios(of, to, value)) }
	q := Ratio{Latency: latency, Of: ofName, To: toName, Min: rates[0], Median: median(rates), Max: rates[len(rates)-1],
		EventCPU:  middle(func(x Result) float64 { return float64(x.EventCPU) }),
		P99:       middle(func(x Result) float64 { return float64(x.P99) }),
		IngestP99: middle(func(x Result) float64 { return float64(x.IngestP99) })}
	r.Ratios = append(r.Ratios, q)
	fmt.Fprintf(r.out, "receiver %v: %s has %.2f times the deliveries/s of %s (%.2f to %.2f in %s), %.2f of its CPU for an event, %.2f of its p99, %.2f of its ingest p99\n",
		latency, q.Of, q.Median, q.To, q.Min, q.Max, plural.Count(len(rates), "pair"), q.EventCPU, q.P99, q.IngestP99)
}

// ratios of each pair, sorted; 0 where the second was not measured.
func ratios(of, to []Result, value func(Result) float64) []float64 {
	var all []float64
	for i, x := range of {
		if v := value(to[i]); v > 0 {
			all = append(all, value(x)/v)
		} else {
			all = append(all, 0)
		}
	}
	slices.Sort(all)
	return all
}

func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// OK reports whether every run kept the promises. One that is only slow, whose
// deliveries still came when the time was up, breaks none.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Runs, func(x Result) bool { return x.Stuck || x.Verdict.OrderBreaks > 0 })
}
