package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
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
	Schemas     bool      `json:"schemas"`
	Runs        []Result  `json:"runs"`
	Ratios      []Ratio   `json:"ratios,omitempty"`
	Starts      []Start   `json:"starts,omitempty"`

	out     io.Writer
	program string // that the others are compared with
	width   int    // of the first column
}

// Ratio compares the first program and ordering with another, pair by pair: the
// median of each, and for the deliveries a second the least and the most too.
type Ratio struct {
	Latency          time.Duration `json:"receiver_latency_ns"`
	Of, To           string
	Min, Median, Max float64
	EventCPU         float64 `json:"server_cpu_per_event"` // 0 where it was not measured
	P99              float64 `json:"p99"`
}

func newReport(cfg Config) *Report {
	r := &Report{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Users: cfg.Users, Connections: cfg.Connections,
		Size: cfg.Size, Batch: cfg.Batch, Rate: cfg.Rate, Dests: cfg.Destinations, DelivBatch: cfg.DeliverBatch, Failing: cfg.Failing, Schemas: cfg.Schemas, out: cfg.Out,
		program: cfg.Program, width: len("partition")}
	for _, p := range cfg.Against {
		r.width = max(r.width, len("partition ")+len(p))
	}
	fmt.Fprintf(r.out, "%s, %s, %d-byte events, batches of %d in and %d out, %s, rate %s, %s\n",
		plural.Count(r.Users, "user"), plural.Count(r.Connections, "connection"), r.Size, r.Batch, r.DelivBatch, plural.Count(r.Dests, "destination"), rate(r.Rate), plural.Count(r.CPUs, "CPU"))
	fmt.Fprintf(r.out, "%-*s %9s %5s %13s %11s %10s %10s %6s %9s %6s %8s %8s  %s\n", r.width,
		"run", "receiver", "pair", "deliveries/s", "accepted/s", "p50", "p99", "cores", "CPU/event", "MiB", "ready", "restart", "verdict")
	return r
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
	fmt.Fprintf(r.out, "%-*s %9v %5d %13.0f %11.0f %10v %10v %6.2f %9v %6.0f %8v %8v  %s\n", r.width, r.name(x), x.Latency, x.Pair, x.Deliveries, x.Events,
		round(x.P50), round(x.P99), x.CPU, x.EventCPU.Round(time.Microsecond), float64(x.RSS)/(1<<20), x.Ready.Round(time.Millisecond), x.Restart.Round(time.Millisecond), verdict)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// name is what tells a run from those that it is compared with.
func (r *Report) name(x Result) string {
	if x.Program == r.program {
		return x.Ordering
	}
	return x.Ordering + " " + x.Program
}

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
		name := r.name(x)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		runs[x.Latency][name] = append(runs[x.Latency][name], x)
	}
	for _, l := range latencies {
		for _, other := range names[1:] {
			of, to := runs[l][names[0]], runs[l][other]
			rates := ratios(of, to, func(x Result) float64 { return x.Deliveries })
			cpu := ratios(of, to, func(x Result) float64 { return float64(x.EventCPU) })
			p99 := ratios(of, to, func(x Result) float64 { return float64(x.P99) })
			q := Ratio{Latency: l, Of: names[0], To: other, Min: rates[0], Median: median(rates), Max: rates[len(rates)-1], EventCPU: median(cpu), P99: median(p99)}
			r.Ratios = append(r.Ratios, q)
			fmt.Fprintf(r.out, "receiver %v: %s has %.2f times the deliveries/s of %s (%.2f to %.2f in %s), %.2f of its CPU for an event, %.2f of its p99\n",
				l, q.Of, q.Median, q.To, q.Min, q.Max, plural.Count(len(rates), "pair"), q.EventCPU, q.P99)
		}
	}
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
