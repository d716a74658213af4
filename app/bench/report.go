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

	out io.Writer
}

// Ratio compares the first ordering with another, pair by pair.
type Ratio struct {
	Latency          time.Duration `json:"receiver_latency_ns"`
	Of, To           string
	Min, Median, Max float64
}

func newReport(cfg Config) *Report {
	r := &Report{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Users: cfg.Users, Connections: cfg.Connections,
		Size: cfg.Size, Batch: cfg.Batch, Rate: cfg.Rate, Dests: cfg.Destinations, DelivBatch: cfg.DeliverBatch, Failing: cfg.Failing, Schemas: cfg.Schemas, out: cfg.Out}
	fmt.Fprintf(r.out, "%s, %s, %d-byte events, batches of %d in and %d out, %s, rate %s, %s\n",
		plural.Count(r.Users, "user"), plural.Count(r.Connections, "connection"), r.Size, r.Batch, r.DelivBatch, plural.Count(r.Dests, "destination"), rate(r.Rate), plural.Count(r.CPUs, "CPU"))
	fmt.Fprintf(r.out, "%-10s %9s %5s %13s %11s %10s %10s %6s %8s  %s\n",
		"ordering", "receiver", "pair", "deliveries/s", "accepted/s", "p50", "p99", "cores", "MiB", "verdict")
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
	fmt.Fprintf(r.out, "%-10s %9v %5d %13.0f %11.0f %10v %10v %6.2f %8.0f  %s\n", x.Ordering, x.Latency, x.Pair, x.Deliveries, x.Events,
		round(x.P50), round(x.P99), x.CPU, float64(x.RSS)/(1<<20), verdict)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// finish computes the ratios of the first ordering to each other one.
func (r *Report) finish() {
	rates := map[time.Duration]map[string][]float64{}
	var latencies []time.Duration
	var orderings []string
	for _, x := range r.Runs {
		if rates[x.Latency] == nil {
			rates[x.Latency] = map[string][]float64{}
			latencies = append(latencies, x.Latency)
		}
		if !slices.Contains(orderings, x.Ordering) {
			orderings = append(orderings, x.Ordering)
		}
		rates[x.Latency][x.Ordering] = append(rates[x.Latency][x.Ordering], x.Deliveries)
	}
	for _, l := range latencies {
		for _, other := range orderings[1:] {
			var ratios []float64
			for i, v := range rates[l][orderings[0]] {
				ratios = append(ratios, v/rates[l][other][i])
			}
			slices.Sort(ratios)
			q := Ratio{Latency: l, Of: orderings[0], To: other, Min: ratios[0], Median: ratios[len(ratios)/2], Max: ratios[len(ratios)-1]}
			r.Ratios = append(r.Ratios, q)
			fmt.Fprintf(r.out, "receiver %v: %s is %.2f times %s (%.2f to %.2f in %d pairs)\n", l, q.Of, q.Median, q.To, q.Min, q.Max, len(ratios))
		}
	}
}

// OK reports whether every run kept the promises. One that is only slow, whose
// deliveries still came when the time was up, breaks none.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Runs, func(x Result) bool { return x.Stuck || x.Verdict.OrderBreaks > 0 })
}
