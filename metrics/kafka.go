package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kafka is what goes on between this process and a Kafka cluster. Labels are the
// process' clients and the kinds of requests, which are few. It implements the
// observer of infra/kafka.
type Kafka struct {
	connections   *prometheus.GaugeVec   // client
	connectErrors *prometheus.CounterVec // client
	requests      *prometheus.SummaryVec // client, request
	requestErrors *prometheus.CounterVec // client
	sent          *prometheus.CounterVec // client
	received      *prometheus.CounterVec // client
	throttled     *prometheus.CounterVec // client
	rebalances    prometheus.Counter
}

// NewKafka registers the metrics on reg. clients are the names that a label may have.
func NewKafka(reg prometheus.Registerer, clients ...string) (*Kafka, error) {
	name := func(n, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: namespace, Subsystem: "kafka", Name: n, Help: help}
	}
	counter := func(n, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(name(n, help)), []string{"client"})
	}
	k := &Kafka{
		connections:   prometheus.NewGaugeVec(prometheus.GaugeOpts(name("connections", "Connections to brokers that are open.")), []string{"client"}),
		connectErrors: counter("connect_errors_total", "Connections to brokers that were not made."),
		requests: prometheus.NewSummaryVec(prometheus.SummaryOpts{Namespace: namespace, Subsystem: "kafka", Name: "request_duration_seconds",
			Help: "Time from a request to its whole answer, by kind of request."}, []string{"client", "request"}),
		requestErrors: counter("request_errors_total", "Requests that brokers did not answer."),
		sent:          counter("sent_bytes_total", "Bytes of requests."),
		received:      counter("received_bytes_total", "Bytes of answers."),
		throttled:     counter("throttled_seconds_total", "Time that the cluster's quotas had this process wait."),
		rebalances: prometheus.NewCounter(prometheus.CounterOpts(name("rebalances_total",
			"Times that this process was given partitions of events, or had some taken."))),
	}
	for _, client := range clients {
		k.connections.WithLabelValues(client)
		for _, c := range []*prometheus.CounterVec{k.connectErrors, k.requestErrors, k.sent, k.received, k.throttled} {
			c.WithLabelValues(client)
		}
	}
	var errs []error
	for _, c := range []prometheus.Collector{k.connections, k.connectErrors, k.requests, k.requestErrors, k.sent, k.received, k.throttled, k.rebalances} {
		errs = append(errs, reg.Register(c))
	}
	return k, errors.Join(errs...)
}

// Connected counts a connection, or one that was not made.
func (k *Kafka) Connected(client string, err error) {
	if err != nil {
		k.connectErrors.WithLabelValues(client).Inc()
		return
	}
	k.connections.WithLabelValues(client).Inc()
}

// Disconnected counts the end of a connection.
func (k *Kafka) Disconnected(client string) { k.connections.WithLabelValues(client).Dec() }

// Answered counts a request, and what it and its answer had of bytes. err: it was not
// answered.
func (k *Kafka) Answered(client, request string, sent, received int, took time.Duration, err error) {
	k.sent.WithLabelValues(client).Add(float64(sent))
	k.received.WithLabelValues(client).Add(float64(received))
	if err != nil {
		k.requestErrors.WithLabelValues(client).Inc()
		return
	}
	k.requests.WithLabelValues(client, request).Observe(took.Seconds())
}

// Throttled counts a wait for a quota.
func (k *Kafka) Throttled(client string, d time.Duration) {
	k.throttled.WithLabelValues(client).Add(d.Seconds())
}

// Rebalanced counts that partitions were given to this process, or taken from it.
func (k *Kafka) Rebalanced() { k.rebalances.Inc() }
