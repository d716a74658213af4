package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Destination is one destination's part of the metrics: at most 62 series, so that a
// thousand destinations can be scraped.
type Destination struct {
	m  *Metrics
	id string
	// Looked up once, not at each event.
	finished, attempts map[string]prometheus.Counter // by outcome, by class

	AttemptDur *Histogram
	Latency    *Histogram
	Retries    prometheus.Counter
}

// Destination prepares the series of one destination, so that an idle one
// exports zeroes and an alert on it can fire. kind is the label of
// eventserver_destination_info; state is asked at each scrape.
func (m *Metrics) Destination(id, kind string, state func() State) *Destination {
	finished, attempts := map[string]prometheus.Counter{}, map[string]prometheus.Counter{}
	for _, o := range outcomes() {
		finished[o] = m.deliveries.WithLabelValues(id, o)
	}
	for _, c := range classes() {
		attempts[c] = m.attempts.WithLabelValues(id, c)
	}
	for _, r := range reasons() {
		m.poisoned.WithLabelValues(id, r)
	}
	m.unreadable.WithLabelValues(id)
	m.state.add(id, kind, state)
	return &Destination{m: m, id: id, finished: finished, attempts: attempts,
		AttemptDur: newHistogram(m.attemptDur.WithLabelValues(id), attemptSeconds()),
		Latency:    newHistogram(m.latency.WithLabelValues(id), latencySeconds()), Retries: m.retries.WithLabelValues(id)}
}

// Finished counts a delivery that has come to its end.
func (d *Destination) Finished(outcome string) { d.finished[outcome].Inc() }

// FinishedMany is Finished for n deliveries.
func (d *Destination) FinishedMany(outcome string, n int) {
	d.finished[outcome].Add(float64(n))
}

// Attempt counts one attempt that took dur. traceparent may be "".
func (d *Destination) Attempt(class string, dur time.Duration, traceparent string) {
	d.attempts[class].Inc()
	d.AttemptDur.Observe(dur.Seconds(), traceparent)
}

// Poisoned counts a delivery that went to the poison queue.
func (d *Destination) Poisoned(reason string) {
	d.m.poisoned.WithLabelValues(d.id, reason).Inc()
	d.Finished(Poisoned)
}

// Remove drops the destination's series. Each is named whole: to look for those of a
// destination would go through the series of all.
func (d *Destination) Remove() {
	m := d.m
	m.state.remove(d.id)
	for _, v := range []interface{ DeleteLabelValues(...string) bool }{m.attemptDur, m.latency, m.retries, m.unreadable} {
		v.DeleteLabelValues(d.id)
	}
	for _, o := range outcomes() {
		m.deliveries.DeleteLabelValues(d.id, o)
	}
	for _, c := range classes() {
		m.attempts.DeleteLabelValues(d.id, c)
	}
	for _, r := range reasons() {
		m.poisoned.DeleteLabelValues(d.id, r)
	}
}
