package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"eventserver/app/config/strict"
	"eventserver/app/textfile"
	"eventserver/destinations"
)

// faultList collects for Validate.
type faultList []error

func (f *faultList) addf(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }
func (f faultList) err() error                       { return errors.Join(f...) }

var (
	nameRE     = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)
	headerRE   = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)
	digestRE   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	topicRE    = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`) // Kafka's rule and length
	prefixRE   = regexp.MustCompile(`^[a-zA-Z0-9._-]{0,100}$`) // leaves room for "poison.<id>"
	instanceRE = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,100}$`) // infra/kafka's rule
	idRE       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	typeRE     = regexp.MustCompile(`^(\*|[^\s*]+(\.\*)?)$`)
)

// Validate checks what stands in more than one section.
func (c *Config) Validate() error {
	var f faultList
	if least := c.leastMemory(); c.Memory > 0 && c.Memory < least {
		f.addf("memory: %s is too little for the largest request that http.max_batch_bytes, http.max_event_bytes and http.max_batch_events allow; give at least %s, or lower these", c.Memory, least)
	}
	if c.Broker.WindowKey > c.Broker.WindowMessages {
		f.addf("broker.window_key: %d is more than broker.window_messages %d, so one key could fill the window; give less", c.Broker.WindowKey, c.Broker.WindowMessages)
	}
	for i, d := range c.Destinations {
		if d.Schema != "" && c.Schemas == nil {
			f.addf("destinations[%d].schema: needs schemas; add schemas: {dir: ./schemas} to the file, or delete it", i)
		}
	}
	c.adminFaults(&f)
	if c.Metrics.Addr != "" && (c.Metrics.Addr == c.HTTP.Addr || c.Metrics.Addr == c.Admin.Addr) && !strings.HasSuffix(c.Metrics.Addr, ":0") {
		f.addf("metrics.addr: %q is the address of another listener already; give another port, or delete it for /metrics on http.addr", c.Metrics.Addr)
	}
	ids := map[string]int{}
	longest := -1
	for i, d := range c.Destinations {
		if first, ok := ids[d.ID]; ok && d.ID != "" {
			f.addf("destinations[%d].id: %q is already the id of destinations[%d]; give each its own", i, d.ID, first)
		} else {
			ids[d.ID] = i
		}
		if longest < 0 || d.Retry.MaxAge > c.Destinations[longest].Retry.MaxAge {
			longest = i
		}
	}
	// Kafka deletes by age, also what is still being retried.
	if b := c.Broker; b.Kind == "kafka" && b.Retention > 0 && longest >= 0 {
		if age := c.Destinations[longest].Retry.MaxAge; b.Retention <= age {
			f.addf("broker.retention: %s is not longer than destinations[%d].retry.max_age %s, so an event could be deleted while it is retried; give a longer retention, or 0 for ever",
				strict.FormatDuration(b.Retention), longest, strict.FormatDuration(age))
		}
	}
	return f.err()
}

// Validate checks that the mechanism has what it needs, and nothing of another's.
func (s *SASL) Validate() error {
	const scram, bearer, aws = "PLAIN and SCRAM", "OAUTHBEARER", "AWS_MSK_IAM"
	of := map[string]string{"PLAIN": scram, "SCRAM-SHA-256": scram, "SCRAM-SHA-512": scram, bearer: bearer, aws: aws}[s.Mechanism]
	var f faultList
	for _, key := range []struct {
		name, of     string
		given, needs bool
	}{
		{"user", scram, s.User != "", true}, {"password", scram, s.Password != "", true},
		{"token_url", bearer, s.TokenURL != "", true}, {"client_id", bearer, s.ClientID != "", true}, {"client_secret", bearer, s.ClientSecret != "", true},
		{"scopes", bearer, len(s.Scopes) > 0, false}, {"audience", bearer, s.Audience != "", false}, {"extensions", bearer, len(s.Extensions) > 0, false},
		{"access_key", aws, s.AccessKey != "", s.SecretKey != "" || s.SessionToken != ""}, {"secret_key", aws, s.SecretKey != "", s.AccessKey != ""}, {"session_token", aws, s.SessionToken != "", false},
	} {
		switch {
		case of == "": // the mechanism is told as a fault already
		case key.of == of && key.needs && !key.given:
			f.addf("%s: missing; mechanism %s needs it", key.name, s.Mechanism)
		case key.of != of && key.given:
			f.addf("%s: is for mechanism %s and mechanism is %s; delete it", key.name, key.of, s.Mechanism)
		}
	}
	return f.err()
}

// Validate checks the modes of single types.
func (s *Schemas) Validate() error {
	modes := []string{"enforce", "warn", "off"}
	var f faultList
	for _, typ := range slices.Sorted(maps.Keys(s.Types)) {
		if mode := s.Types[typ]; !slices.Contains(modes, mode) {
			cure := "write enforce, warn or off"
			if near := textfile.Nearest(mode, modes, 2); near != "" {
				cure = fmt.Sprintf("did you mean %q?", near)
			}
			f.addf("types.%s: %q is no mode; %s", typ, mode, cure)
		}
	}
	return f.err()
}

// Validate checks the address, the sizes, the headers and the keys.
func (h *HTTP) Validate() error {
	var f faultList
	for i, name := range h.MetadataHeaders {
		h.MetadataHeaders[i] = strings.ToLower(name)
		switch strings.ToLower(name) {
		case "authorization", "cookie", "proxy-authorization":
			f.addf("metadata_headers[%d]: %s holds a secret, which would be stored with each event; delete it", i, name)
		default:
			if !headerRE.MatchString(name) {
				f.addf("metadata_headers[%d]: %q is no name of a header; use letters, digits and . _ -", i, name)
			}
		}
	}
	if err := destinations.CheckListen(h.Addr); err != nil {
		f.addf("addr: %q %w; write 127.0.0.1:8080, or :8080 for every interface", h.Addr, err)
	}
	if h.MaxBatchBytes < h.MaxEventBytes {
		f.addf("max_batch_bytes: %s is less than max_event_bytes %s; give at least as much", h.MaxBatchBytes, h.MaxEventBytes)
	}
	f.distinct("http.", "keys", h.Keys)
	return f.err()
}

// Validate checks the address and the tokens.
func (m *Metrics) Validate() error {
	var f faultList
	if err := destinations.CheckListen(m.Addr); m.Addr != "" && err != nil {
		f.addf("addr: %q %w; write 127.0.0.1:9090, or delete it for /metrics on http.addr", m.Addr, err)
	}
	f.distinct("metrics.", "tokens", m.Tokens)
	return f.err()
}

// requests are the limits that the memory for requests follows from.
func (h *HTTP) requests() (batchBytes, eventBytes int64, events int) {
	return int64(h.MaxBatchBytes), int64(h.MaxEventBytes), h.MaxBatchEvents
}

// Validate checks the name and the digests, and makes these lower-case.
func (k *APIKey) Validate() error { return k.check("KEY") }

// Validate checks names, and that the keys fit the kind.
func (b *Broker) Validate() error {
	var f faultList
	if b.Kind == "embedded" && b.Dir == "" {
		f.addf("dir: empty; give the directory of the embedded broker")
	}
	if b.Kind == "kafka" {
		if len(b.Brokers) == 0 {
			f.addf("brokers: missing; kafka needs a list of addresses such as [kafka-1:9092]")
		}
	} else {
		const cure = "is for kafka only and kind is %s; delete it, or write kind: kafka"
		if len(b.Brokers) > 0 {
			f.addf("brokers: "+cure, b.Kind)
		}
		if b.SASL != nil {
			f.addf("sasl: "+cure, b.Kind)
		}
		if b.TLS.Enabled {
			f.addf("tls.enabled: "+cure, b.Kind)
		}
	}
	for i, a := range b.Brokers {
		if err := destinations.CheckDial(a); err != nil {
			f.addf("brokers[%d]: %q %w; write kafka-1:9092", i, a, err)
		}
		if slices.Index(b.Brokers, a) < i {
			f.addf("brokers[%d]: %q is in the list already; delete one", i, a)
		}
	}
	if !prefixRE.MatchString(b.TopicPrefix) {
		f.addf("topic_prefix: %q has characters other than letters, digits and . _ -, or more than 100; give a shorter, plainer prefix", b.TopicPrefix)
	}
	if b.InstanceID != "" && !instanceRE.MatchString(b.InstanceID) {
		f.addf("instance_id: %q has characters other than letters, digits and . _ -, or more than 100; give a shorter, plainer name", b.InstanceID)
	}
	if b.Owners != "" && !instanceRE.MatchString(b.Owners) {
		f.addf("owners: %q has characters other than letters, digits and . _ -, or more than 100; give a shorter, plainer name", b.Owners)
	}
	real := map[string]string{}
	logical := make([]string, 0, len(b.Topics))
	for name := range b.Topics {
		logical = append(logical, name)
	}
	slices.Sort(logical)
	for _, name := range logical {
		topic := b.Topics[name]
		if strings.ContainsAny(name, "\"\n") || len(name) > 249 {
			f.addf("topics: has a name that no topic can have; write names such as events")
			continue
		}
		if len(b.TopicPrefix)+len(topic) > 249 || !topicRE.MatchString(topic) || topic == "." || topic == ".." {
			f.addf("topics[%q]: %q is not a topic name; write letters, digits and . _ -, at most 249 with the prefix", name, topic)
		} else if first, ok := real[topic]; ok {
			// Two streams in one topic would mix their order and their groups.
			f.addf("topics[%q]: %q is already the name of %q; give each its own", name, topic, first)
		}
		real[topic] = name
	}
	return f.err()
}

// Validate checks that none is given in vain.
func (t *TLS) Validate() error {
	var f faultList
	if !t.Enabled {
		// Silently speaking plain text would be worse than not starting.
		for _, g := range []struct {
			key   string
			given bool
		}{{"ca_file", t.CAFile != ""}, {"cert_file", t.CertFile != ""}, {"key_file", t.KeyFile != ""},
			{"server_name", t.ServerName != ""}, {"insecure_skip_verify", t.InsecureSkipVerify}} {
			if g.given {
				f.addf("%s: has no effect without encryption; write enabled: true beside it, or delete it", g.key)
			}
		}
		return f.err()
	}
	if t.CertFile != "" && t.KeyFile == "" {
		f.addf("key_file: missing; give the key of cert_file")
	}
	if t.KeyFile != "" && t.CertFile == "" {
		f.addf("cert_file: missing; give the certificate of key_file")
	}
	return f.err()
}

// Client is what a client of Kafka needs of t; nil without encryption.
func (t *TLS) Client() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // a documented switch for tests
	return c, destinations.TLSFiles{CA: t.CAFile, Cert: t.CertFile, Key: t.KeyFile}.Load(c)
}

// Precheck looks for the files.
func (t *TLS) Precheck() error {
	_, err := t.Client()
	return err
}

// Precheck looks at the directory of the embedded broker.
func (b *Broker) Precheck() error {
	var f faultList
	if b.Kind == "embedded" && b.Dir != "" {
		if err := destinations.CheckDir(b.Dir); err != nil {
			f.addf("dir: %w", err)
		}
	}
	return f.err()
}

// Validate checks the id and the patterns.
func (d *Destination) Validate() error {
	var f faultList
	if !idRE.MatchString(d.ID) {
		f.addf("id: %q is not an id; write lower-case letters, digits and -, at most 64, the first a letter or digit", d.ID)
	}
	d.checkFrom(&f)
	for i, t := range d.Types {
		if !typeRE.MatchString(t) {
			f.addf("types[%d]: %q is not a pattern; write a whole type, a prefix with .* behind it, or *", i, t)
		}
	}
	return f.err()
}

// Validate checks that a burst has a rate.
func (r *RateLimit) Validate() error {
	var f faultList
	if r.Burst > 0 && r.PerSecond == 0 {
		f.addf("burst: has no effect without per_second; give that, or delete it")
	}
	return f.err()
}

// Validate checks that the waits can grow.
func (r *Retry) Validate() error {
	var f faultList
	if r.Initial > r.Max {
		f.addf("initial: %s is longer than max %s; give a shorter one", strict.FormatDuration(r.Initial), strict.FormatDuration(r.Max))
	}
	return f.err()
}

// Validate checks that the pauses can grow.
func (b *Breaker) Validate() error {
	var f faultList
	if b.Initial > b.Max {
		f.addf("initial: %s is longer than max %s; give a shorter one", strict.FormatDuration(b.Initial), strict.FormatDuration(b.Max))
	}
	return f.err()
}

// instanceID is the default name of this process: the host name for Kafka,
// where several processes share the work.
func instanceID(kind string) string {
	const alone = "eventserver"
	host, err := os.Hostname()
	if kind != "kafka" || err != nil || host == "" {
		return alone
	}
	host = regexp.MustCompile(`[^a-zA-Z0-9._-]`).ReplaceAllString(host, "-")
	return host[:min(len(host), 100)]
}
