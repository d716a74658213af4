package metrics

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestTraceID(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for in, want := range map[string]string{
		"00-" + id + "-b7ad6b7169203331-01":                       id,
		"00-" + id + "-b7ad6b7169203331-03":                       id,
		"00-" + id + "-b7ad6b7169203331-00":                       "",
		"00-" + id + "-b7ad6b7169203331-02":                       "",
		"01-" + id + "-b7ad6b7169203331-01":                       "",
		"00-" + strings.ToUpper(id) + "-b7ad6b7169203331-01":      "",
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01":  "",
		"00-" + strings.Repeat("\"", 32) + "-b7ad6b7169203331-01": "",
		"": "",
	} {
		got := ""
		if sampled(in) {
			got = traceID(in)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

const aTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func aHistogram() (*Histogram, prometheus.Histogram) {
	to := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: seconds()})
	return newHistogram(to, seconds()), to
}

// A bucket keeps its exemplar for a while, and none waits for another's.
func TestExemplars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, to := aHistogram()
		other := strings.Replace(aTrace, "0af", "1af", 1)
		h.Observe(0.5, "")
		h.Observe(1.5, aTrace)
		h.Observe(1.6, other)
		h.Observe(9000, other)
		of := func(v float64) string {
			var m dto.Metric
			if err := to.Write(&m); err != nil {
				t.Fatal(err)
			}
			for _, b := range m.GetHistogram().GetBucket() {
				if b.GetUpperBound() >= v {
					if l := b.GetExemplar().GetLabel(); len(l) == 1 && l[0].GetName() == "trace_id" {
						return l[0].GetValue()
					}
					return ""
				}
			}
			return ""
		}
		if of(0.5) != "" || of(1.5) != aTrace[3:35] || of(9000) != other[3:35] {
			t.Errorf("%q %q %q", of(0.5), of(1.5), of(9000))
		}
		<-time.After(exemplarPause) // of the bubble
		h.Observe(1.6, other)
		if of(1.5) != other[3:35] {
			t.Errorf("after the pause it is %q", of(1.5))
		}
	})
}

func TestObserveAllocates(t *testing.T) {
	h, _ := aHistogram()
	h.Observe(0.5, aTrace)
	for _, traceparent := range []string{"", aTrace} { // its bucket has one
		if n := testing.AllocsPerRun(100, func() { h.Observe(0.5, traceparent) }); n != 0 {
			t.Errorf("%q: %v allocations", traceparent, n)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	h, to := aHistogram()
	for name, f := range map[string]func(){"plain": func() { to.Observe(0.5) }, "without": func() { h.Observe(0.5, "") }, "sampled": func() { h.Observe(0.5, aTrace) }} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
