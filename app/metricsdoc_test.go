package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
)

// documented are the rows of docs/metrics.md: the metric's name, then its type
// and labels, as the first three columns have them.
func documented(t *testing.T) (rows, values map[string]string) {
	t.Helper()
	b, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	rows, values = map[string]string{}, map[string]string{}
	row := regexp.MustCompile("^\\| `(eventserver_[a-z_]+)` \\| (\\w+) \\| ([^|]*) \\| ([^|]+) \\| [^|]+ \\|$")
	value := regexp.MustCompile("^\\| `([a-z_]+)` of `(eventserver_[a-z_]+)` \\| ([^|]+) \\|$")
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if m := row.FindStringSubmatch(line); m != nil {
			assert.NotContains(t, rows, m[1], "documented twice")
			rows[m[1]] = m[2] + " " + strings.TrimSpace(m[3])
		} else if m := value.FindStringSubmatch(line); m != nil {
			values[m[2]+" "+m[1]] = strings.TrimSpace(m[3])
		} else if strings.HasPrefix(line, "| `eventserver_") {
			t.Errorf("a row that this test cannot read: %s", line)
		}
	}
	return rows, values
}

// named are the labels whose values the configuration, the build or the code of
// publishers have; of every other one the page lists the values.
var named = []string{"destination", "kind", "topic", "group", "type", "go", "version", "commit", "client", "publisher_name", "success", "request"}

// docs/metrics.md has every metric of a running server, with its type, its
// labels and their values, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	key := sha256.Sum256([]byte("k"))
	cfg, err := loadText(t, "http: {addr: '127.0.0.1:0', keys: [{name: shop, sha256: ['"+hex.EncodeToString(key[:])+"']}]}\nbroker: {kind: memory}\nschemas: {dir: ../schemas}\ndestinations: [{id: d, kind: log}]\n", Options{})
	require.NoError(t, err)
	a := started(t, cfg, Options{Registry: reg, Stdout: io.Discard})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.Addr()+"/v1/events", strings.NewReader(`{"userId":"u"}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer k")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Eventually(t, func() bool {
		return value(t, reg, "eventserver_deliveries_total", map[string]string{"outcome": "delivered"}) == 1
	}, 20*time.Second, 5*time.Millisecond)
	families, err := reg.Gather()
	require.NoError(t, err)
	families = append(families, ofKafka(t)...)

	rows, values := documented(t)
	known, used := map[string]string{}, map[string]string{}
	for _, f := range families {
		labels := map[string]map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if labels[l.GetName()] == nil {
					labels[l.GetName()] = map[string]bool{}
				}
				labels[l.GetName()][l.GetValue()] = true
			}
		}
		known[f.GetName()] = strings.ToLower(f.GetType().String()) + " " + code(slices.Sorted(maps.Keys(labels)))
		for l, v := range labels {
			if !slices.Contains(named, l) {
				used[f.GetName()+" "+l] = code(slices.Sorted(maps.Keys(v)))
			}
		}
		assert.NotEqual(t, dto.MetricType_UNTYPED, f.GetType(), f.GetName())
	}
	for name, what := range known {
		assert.Equal(t, what, rows[name], "docs/metrics.md, %s: type and labels", name)
	}
	for name := range rows {
		assert.Contains(t, known, name, "docs/metrics.md has a metric that the server has not")
	}
	for label, what := range used {
		assert.Equal(t, what, values[label], "docs/metrics.md, values of %s", label)
	}
	for label := range values {
		assert.Contains(t, used, label, "docs/metrics.md has values of a label that is not there")
	}
	if t.Failed() { // what to put there
		for _, name := range slices.Sorted(maps.Keys(known)) {
			fmt.Fprintf(t.Output(), "| `%s` | %s |\n", name, strings.Replace(known[name], " ", " | ", 1))
		}
		for _, l := range slices.Sorted(maps.Keys(used)) {
			name, label, _ := strings.Cut(l, " ")
			fmt.Fprintf(t.Output(), "| `%s` of `%s` | %s |\n", label, name, used[l])
		}
	}
}

// ofKafka are the metrics that a server has with Kafka alone.
func ofKafka(t *testing.T) (only []*dto.MetricFamily) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	reg := prometheus.NewRegistry()
	cfg, err := loadText(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: kafka, brokers: ['"+cluster.ListenAddrs()[0]+"']}\ndestinations: [{id: d, kind: log}]\n", Options{})
	require.NoError(t, err)
	a := started(t, cfg, Options{Registry: reg, Stdout: io.Discard})
	<-a.Ready()
	require.Eventually(t, func() bool { return value(t, reg, "eventserver_kafka_rebalances_total", nil) > 0 }, 20*time.Second, 5*time.Millisecond)
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "eventserver_kafka_") {
			only = append(only, f)
		}
	}
	assert.NotZero(t, value(t, reg, "eventserver_kafka_connections", map[string]string{"client": "work"}))
	return only
}

// code lists words as docs/metrics.md writes them.
func code(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, "`"+w+"`")
	}
	return strings.Join(out, ", ")
}
