package metrics

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// exemplarLabel is the name under which trace viewers look for an exemplar's trace.
const exemplarLabel = "trace_id"

// exemplarPause is for how long a bucket keeps its exemplar. To make one takes
// ten times what to count does; who asks every few seconds misses nothing.
const exemplarPause = time.Second

// Histogram is one of durations in seconds, with traces as exemplars. It is safe
// for many goroutines.
type Histogram struct {
	to      prometheus.Observer
	buckets []float64
	next    []atomic.Int64 // of each bucket: no new exemplar before, in Unix ns
}

// newHistogram is for one that has these buckets.
func newHistogram(to prometheus.Observer, buckets []float64) *Histogram {
	return &Histogram{to: to, buckets: buckets, next: make([]atomic.Int64, len(buckets)+1)}
}

// Observe adds v. traceparent is the W3C header that the event travels with: a
// trace that it says is sampled is the bucket's exemplar. "" and nonsense are none.
func (h *Histogram) Observe(v float64, traceparent string) {
	if sampled(traceparent) && h.due(v) {
		if e, ok := h.to.(prometheus.ExemplarObserver); ok {
			if id := traceID(traceparent); id != "" {
				e.ObserveWithExemplar(v, prometheus.Labels{exemplarLabel: id})
				return
			}
		}
	}
	h.to.Observe(v)
}

// due reports whether the bucket of v wants an exemplar.
func (h *Histogram) due(v float64) bool {
	bucket, _ := slices.BinarySearch(h.buckets, v)
	next, now := &h.next[bucket], time.Now().UnixNano()
	was := next.Load()
	return now >= was && next.CompareAndSwap(was, now+int64(exemplarPause))
}

// sampled reports whether s has the form of a traceparent of version 00 with the
// sampled flag. It comes first, because most have neither.
func sampled(s string) bool {
	const length, idEnd, flags = 55, 35, 53 // 00-<32>-<16>-<2>
	if len(s) != length || s[:3] != "00-" || s[idEnd] != '-' || s[flags-1] != '-' || s[flags] != '0' {
		return false
	}
	return s[flags+1] == '1' || s[flags+1] == '3' // 2 is "random"
}

// traceID is the trace id of a traceparent that is sampled; "" when it is none.
// It comes from a client, so each character counts.
func traceID(s string) string {
	id, zero := s[3:35], true
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
		zero = zero && c == '0'
	}
	if zero {
		return ""
	}
	return id
}
