package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is what a destination looks like at the moment of a scrape.
type State struct {
	InFlight      int            // attempts running
	Buffered      int            // messages read and not finished
	Blocked       map[string]int // keys with a message waiting behind another, by reason: Wait...
	OldestBlocked time.Time      // since when the longest-blocked key waits; zero: none
	Oldest        time.Time      // when the oldest unfinished event was accepted; zero: none
	OldestAt      time.Time      // when that was so; zero: now. Its age then is what is shown: it may be done since
	BreakerOpen   bool
	Paused        bool // by an operator
	Held          bool // it refuses one user after the other, or their transformation fails
	// Readers are the destination's subscribers, by stage.
	Readers []Reader
	// Lag counts messages not done, by topic and group. Asked of the broker,
	// so it is refreshed in the background, not at each scrape.
	Lag []Lag
}

// Reader is how one stage of a destination reads its topic.
type Reader struct {
	Stage         string  // transform or deliver
	Partitions    int     // partitions of the topic that this process has been given
	Window        float64 // share of the read window that the fullest partition has taken, 0 to 1
	Deferred      int     // messages read past because their keys have too many in flight
	MetadataBytes int     // commit metadata of the partition that has most
	MetadataFull  int64   // commits that could not hold all that was done, since the start
	Suppressed    int64   // records skipped because an earlier owner had done them, since the start
}

// Lag is the number of messages of Topic that Group has not done.
type Lag struct {
	Topic, Group string
	Messages     int64
}

// stateCollector asks each destination for its State at every scrape.
type stateCollector struct {
	info, inFlight, buffered, blocked, oldestBlocked, oldest, breaker, paused, held, lag *prometheus.Desc
	partitions, window, deferred, metadata, metadataFull, suppressed                     *prometheus.Desc

	mu      sync.Mutex
	sources map[string]*source // by destination
	// by stage, since the start: of all destinations that there have been
	suppressedSince map[string]int64
}

// source is a destination whose State is read. Its readers count from their own start, which
// may be that of a replay; what a counter shows never goes back.
type source struct {
	kind      string
	state     func() State
	last      map[string]Reader // by stage, as of the last read
	fullSince int64             // commits of all stages, since the destination came
}

func newStateCollector() *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &stateCollector{
		info:          desc("destination_info", "Always 1; the labels tell the destination's kind.", "destination", "kind"),
		inFlight:      desc("in_flight_attempts", "Delivery attempts running.", "destination"),
		buffered:      desc("buffered_messages", "Messages read from the broker and not finished.", "destination"),
		blocked:       desc("blocked_keys", "Keys with a message waiting behind an unfinished one, by what that one waits for.", "destination", "reason"),
		oldestBlocked: desc("oldest_blocked_key_seconds", "How long the longest-blocked key has waited.", "destination"),
		oldest:        desc("oldest_undelivered_seconds", "Age of the oldest accepted event that is not finished.", "destination"),
		breaker:       desc("breaker_open", "1 while the destination is paused by its circuit breaker.", "destination"),
		paused:        desc("destination_paused", "1 while an operator has paused the destination.", "destination"),
		held:          desc("destination_held", "1 while the destination is held because it refuses one user after the other, or their transformation fails.", "destination"),
		lag:           desc("lag_messages", "Messages of the topic that the group has not done.", "topic", "group"),
		partitions:    desc("partitions_assigned", "Partitions that this process has been given to read.", "destination", "stage"),
		window:        desc("read_window_ratio", "Share of the read window that the fullest partition of both stages has taken.", "destination"),
		deferred:      desc("deferred_messages", "Messages read past because their keys have too many in flight; they are read again in their turn.", "destination"),
		metadata:      desc("commit_metadata_bytes", "Commit metadata of the partition that has most; Kafka's limit is 4096.", "stage"),
		metadataFull:  desc("commit_metadata_full_total", "Commits that could not hold all that was done; a crash then repeats more.", "destination"),
		suppressed:    desc("duplicates_suppressed_total", "Records not handled again because an earlier owner had done them.", "stage"),
		sources:       map[string]*source{}, suppressedSince: map[string]int64{},
	}
}

// add puts a destination in the place of one of its id.
func (c *stateCollector) add(id, kind string, state func() State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.sources[id]
	if d == nil {
		d = &source{last: map[string]Reader{}}
		c.sources[id] = d
	} else {
		c.read(d)
	}
	d.kind, d.state = kind, state
}

func (c *stateCollector) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.sources[id]; d != nil {
		c.read(d)
		delete(c.sources, id)
	}
}

// read asks d, and counts what has come since the last time. The caller holds mu.
func (c *stateCollector) read(d *source) State {
	s := d.state()
	for _, r := range s.Readers {
		last := d.last[r.Stage]
		d.fullSince += increase(last.MetadataFull, r.MetadataFull)
		c.suppressedSince[r.Stage] += increase(last.Suppressed, r.Suppressed)
		d.last[r.Stage] = r
	}
	return s
}

// increase is by how much a count has risen that may have begun anew.
func increase(before, now int64) int64 {
	if now < before {
		return now
	}
	return now - before
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.info, c.inFlight, c.buffered, c.blocked, c.oldestBlocked, c.oldest, c.breaker, c.paused, c.held, c.lag,
		c.partitions, c.window, c.deferred, c.metadata, c.metadataFull, c.suppressed} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
	waits, metadata := Waits(), map[string]int{}
	for id, d := range c.sources {
		s := c.read(d)
		gauge(c.info, 1, id, d.kind)
		gauge(c.inFlight, float64(s.InFlight), id)
		gauge(c.buffered, float64(s.Buffered), id)
		for _, reason := range waits {
			gauge(c.blocked, float64(s.Blocked[reason]), id, reason)
		}
		gauge(c.oldestBlocked, age(s.OldestBlocked, time.Time{}), id)
		gauge(c.oldest, age(s.Oldest, s.OldestAt), id)
		gauge(c.breaker, boolValue(s.BreakerOpen), id)
		gauge(c.paused, boolValue(s.Paused), id)
		gauge(c.held, boolValue(s.Held), id)
		window, deferred := 0.0, 0
		for _, r := range s.Readers {
			gauge(c.partitions, float64(r.Partitions), id, r.Stage)
			window, deferred = max(window, r.Window), deferred+r.Deferred
			metadata[r.Stage] = max(metadata[r.Stage], r.MetadataBytes)
		}
		gauge(c.window, window, id)
		gauge(c.deferred, float64(deferred), id)
		count(c.metadataFull, d.fullSince, id)
		for _, l := range s.Lag {
			gauge(c.lag, float64(l.Messages), l.Topic, l.Group)
		}
	}
	for stage, bytes := range metadata {
		gauge(c.metadata, float64(bytes), stage)
	}
	for stage, n := range c.suppressedSince {
		count(c.suppressed, n, stage)
	}
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// age is that of what began at t, seconds at a moment; the zero moment is now.
func age(t, at time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	if at.IsZero() {
		at = time.Now()
	}
	return max(at.Sub(t).Seconds(), 0)
}
