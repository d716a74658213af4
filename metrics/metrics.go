package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

const namespace = "eventserver"

// Outcomes of a delivery, the label "outcome".
const (
	Delivered = "delivered"
	Poisoned  = "poisoned"
	Skipped   = "skipped" // filtered out, or ErrSkip
)

func outcomes() []string { return []string{Delivered, Poisoned, Skipped} }

// Classes of an attempt's result, the label "class".
const (
	ClassSuccess     = "success"
	ClassError       = "error"
	ClassTimeout     = "timeout"
	ClassPermanent   = "permanent"
	ClassUnavailable = "unavailable"
	ClassRetryAfter  = "retry_after"
	ClassPanic       = "panic"
	ClassCancelled   = "cancelled"
)

func classes() []string {
	return []string{ClassSuccess, ClassError, ClassTimeout, ClassPermanent, ClassUnavailable, ClassRetryAfter, ClassPanic, ClassCancelled}
}

// Reasons of the poison queue, the label "reason".
const (
	ReasonUndecodable = "undecodable"
	ReasonFilter      = "filter"
	ReasonTransform   = "transform"
	ReasonPermanent   = "permanent"
	ReasonAttempts    = "attempts"
	ReasonAge         = "age"
	ReasonSchema      = "schema"
)

func reasons() []string {
	return []string{ReasonUndecodable, ReasonFilter, ReasonTransform, ReasonPermanent, ReasonAttempts, ReasonAge, ReasonSchema}
}

// Marks that settle what a poison queue has, the label "mark".
const (
	MarkRedriven  = "redriven"  // sent on again
	MarkDiscarded = "discarded" // an operator wants it no more
	MarkSkipped   = "skipped"   // transformed again: the destination does not want it now
)

// Reasons why a key waits behind its first event, the label "reason" of
// blocked_keys.
const (
	WaitAttempt   = "attempt"    // it is being attempted
	WaitBackoff   = "backoff"    // its last attempt failed
	WaitBreaker   = "breaker"    // the destination's circuit breaker is open
	WaitHeld      = "held"       // the destination refuses one user after the other, or their transformation fails, and is held
	WaitPaused    = "paused"     // an operator has paused the destination
	WaitSlot      = "slot"       // as many attempts as concurrency allows are under way
	WaitRateLimit = "rate_limit" // the destination's rate limit
	WaitBatch     = "batch"      // more may come for its batch
	WaitBroker    = "broker"     // the broker does not take its record, such as that of the poison queue
)

// Waits lists the reasons why a key waits.
func Waits() []string {
	return []string{WaitAttempt, WaitBackoff, WaitBreaker, WaitHeld, WaitPaused, WaitSlot, WaitRateLimit, WaitBatch, WaitBroker}
}

// Reasons for refusing a request, the label "reason".
const (
	RejectInvalid     = "invalid"
	RejectAuth        = "unauthorized"
	RejectOrigin      = "origin" // a web page may have sent it
	RejectMethod      = "method"
	RejectTooLarge    = "too_large"
	RejectMediaType   = "media_type"
	RejectBusy        = "busy"
	RejectUnavailable = "unavailable"
	RejectSchema      = "schema"
)

// Reasons for dropping spans, the label "reason".
const (
	SpansQueueFull    = "queue_full"
	SpansExportFailed = "export_failed" // refused, or no answer in time; also at the stop
)

// seconds are the buckets of the histograms that a process has once. They are wider
// than those that Watermill has, whose last is 1 s: a delivery through retries takes
// minutes.
func seconds() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
}

// attemptSeconds and latencySeconds are those of the histograms that every destination
// has. They are few, because a thousand destinations have each of them a thousand times.
// The last of attempts is the default of destinations[].timeout, that of latencies the
// objective of the oldest undelivered event (deploy/prometheus).
func attemptSeconds() []float64 { return []float64{.01, .05, .25, 1, 10} }
func latencySeconds() []float64 { return []float64{.01, .05, .25, 1, 10, 60, 900} }

// Metrics is the system's metrics. Its methods are safe for concurrent use.
type Metrics struct {
	Accepted  prometheus.Counter
	Rejected  *prometheus.CounterVec // reason
	AcceptDur *Histogram
	// ClientAccepted and ClientRejected have the label client, the name of a key.
	ClientAccepted, ClientRejected *prometheus.CounterVec
	WrongKeys                      prometheus.Counter
	// ConnectionsDropped counts those closed for want of a place.
	ConnectionsDropped prometheus.Counter
	// SchemaViolations has the labels stage (ingest, input, output), type (of a
	// schema, or "unknown") and mode.
	SchemaViolations *prometheus.CounterVec
	BrokerUp         prometheus.Gauge
	BrokerDamaged    prometheus.Gauge
	// ConfigReloaded is 0 after a reload that failed, ConfigReloadedAt the Unix
	// time of the last one that did not; the start counts as one.
	ConfigReloaded, ConfigReloadedAt prometheus.Gauge
	SpansDropped                     *prometheus.CounterVec // reason

	deliveries *prometheus.CounterVec   // destination, outcome
	attempts   *prometheus.CounterVec   // destination, class
	attemptDur *prometheus.HistogramVec // destination
	latency    *prometheus.HistogramVec // destination
	retries    *prometheus.CounterVec   // destination
	poisoned   *prometheus.CounterVec   // destination, reason
	unreadable *prometheus.CounterVec   // destination
	settled    *prometheus.CounterVec   // mark
	build      *prometheus.GaugeVec     // version, commit, go

	handlers handlers
	state    *stateCollector
}

// New registers the metrics on reg.
func New(reg prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	}
	acceptDur := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "accept_duration_seconds",
		Help: "Time from a whole request to its answer.", Buckets: seconds()})
	m := &Metrics{
		Accepted: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "events_accepted_total",
			Help: "Events stored durably and answered with a success."}),
		Rejected:       counter("requests_rejected_total", "Requests refused, by reason.", "reason"),
		AcceptDur:      newHistogram(acceptDur, seconds()),
		ClientAccepted: counter("client_events_accepted_total", "Events stored durably, by the name of the client's key.", "client"),
		ClientRejected: counter("client_requests_rejected_total", "Requests refused after their key was found right, by its name.", "client"),
		WrongKeys: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "wrong_keys_total",
			Help: "Requests with a key or token that is not configured."}),
		ConnectionsDropped: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "connections_dropped_total",
			Help: "Connections of clients that were closed because there were too many."}),
		deliveries:       counter("deliveries_total", "Deliveries finished, by outcome.", "destination", "outcome"),
		attempts:         counter("attempts_total", "Delivery attempts, by class of result.", "destination", "class"),
		attemptDur:       histogram("attempt_duration_seconds", "Time of one delivery attempt.", attemptSeconds(), "destination"),
		latency:          histogram("delivery_latency_seconds", "Time from accepted to delivered.", latencySeconds(), "destination"),
		retries:          counter("retries_total", "Attempts after the first.", "destination"),
		poisoned:         counter("poisoned_total", "Deliveries moved to the poison queue, by reason.", "destination", "reason"),
		settled:          counter("poison_settled_total", "Deliveries of poison queues that an operator settled here, by mark.", "mark"),
		SchemaViolations: counter("schema_violations_total", "Events that break the schema of their type, by where that was seen and the mode.", "stage", "type", "mode"),
		BrokerUp: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "broker_up",
			Help: "1 while the broker answers this process and stores its records, 0 while it does not; asked every 5 s."}),
		BrokerDamaged: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "broker_damaged",
			Help: "1 once this process has met a file or records of its broker that cannot be read, until it is started again."}),
		unreadable: counter("unreadable_messages_total", "Messages that a destination was not given because they cannot be read.", "destination"),
		ConfigReloaded: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "config_last_reload_successful",
			Help: "1 if the last reload of the configuration succeeded, 0 if it failed; the start counts as one."}),
		ConfigReloadedAt: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "config_last_reload_success_timestamp_seconds",
			Help: "Unix time of the last reload of the configuration that succeeded, or of the start."}),
		SpansDropped: counter("spans_dropped_total", "Spans that were made and reached no collector, by reason.", "reason"),
		handlers:     newHandlers(histogram),
		state:        newStateCollector(),
	}
	m.build = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info",
		Help: "Always 1; the labels tell the build."}, []string{"version", "commit", "go"})
	for _, reason := range []string{RejectInvalid, RejectAuth, RejectOrigin, RejectMethod, RejectTooLarge, RejectMediaType, RejectBusy, RejectUnavailable, RejectSchema} {
		m.Rejected.WithLabelValues(reason)
	}
	for _, reason := range []string{SpansQueueFull, SpansExportFailed} {
		m.SpansDropped.WithLabelValues(reason)
	}
	for _, mark := range []string{MarkRedriven, MarkDiscarded, MarkSkipped} {
		m.settled.WithLabelValues(mark)
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.Accepted, m.Rejected, acceptDur, m.ConnectionsDropped, m.ClientAccepted, m.ClientRejected, m.WrongKeys, m.deliveries, m.attempts,
		m.attemptDur, m.latency, m.retries, m.poisoned, m.settled, m.SchemaViolations, m.SpansDropped, m.BrokerUp, m.BrokerDamaged, m.unreadable, m.ConfigReloaded, m.ConfigReloadedAt, m.state, m.build,
		m.handlers.handled, m.handlers.published} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// Build says which build runs.
func (m *Metrics) Build(version, commit, goVersion string) {
	m.build.WithLabelValues(version, commit, goVersion).Set(1)
}

// Settled counts n deliveries of poison queues that were settled.
func (m *Metrics) Settled(mark string, n int) { m.settled.WithLabelValues(mark).Add(float64(n)) }

// Unreadable counts n messages that a destination was not given.
func (m *Metrics) Unreadable(destination string, n int64) {
	m.unreadable.WithLabelValues(destination).Add(float64(n))
}

// Log registers the count of the log's lines that were dropped; dropped is asked
// at each scrape.
func Log(reg prometheus.Registerer, dropped func() uint64) error {
	return reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: "log_lines_dropped_total",
		Help: "Lines of the server's own log that nobody read in time or that could not be written."}, func() float64 { return float64(dropped()) }))
}
