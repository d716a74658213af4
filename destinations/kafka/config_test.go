package kafka

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeCA(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigFaults(t *testing.T) {
	ok := func(change func(*Config)) Config {
		c := Config{Brokers: []string{"a:9092"}, Topic: "t"}
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		cfg  Config
		want []string
	}{
		"least":         {ok(func(*Config) {}), nil},
		"empty":         {Config{}, []string{"brokers: is empty", `topic: "" is not`}},
		"broker":        {ok(func(c *Config) { c.Brokers = []string{"a:1", "b", ":1"} }), []string{`brokers[1]: "b"`, `brokers[2]: ":1"`}},
		"topic":         {ok(func(c *Config) { c.Topic = "a b" }), []string{"topic: "}},
		"dots":          {ok(func(c *Config) { c.Topic = ".." }), []string{"topic: "}},
		"size":          {ok(func(c *Config) { c.MaxMessageBytes = 100 << 20 }), []string{"max_message_bytes: "}},
		"tls off":       {ok(func(c *Config) { c.TLS.CAFile = "x" }), []string{"tls.enabled: is false"}},
		"tls half pair": {ok(func(c *Config) { c.TLS = TLS{Enabled: true, CertFile: "x"} }), []string{"tls.cert_file: "}},
		"tls no ca":     {ok(func(c *Config) { c.TLS = TLS{Enabled: true, CAFile: "config_test.go"} }), []string{"tls.ca_file: holds no certificate"}},
		"tls device":    {ok(func(c *Config) { c.TLS = TLS{Enabled: true, CAFile: "/dev/null"} }), []string{"tls.ca_file: cannot be read: is not a regular file"}},
		"tls no cert":   {ok(func(c *Config) { c.TLS = TLS{Enabled: true, CertFile: "/no", KeyFile: "/no"} }), []string{"tls.cert_file: cannot be read", "tls.key_file: cannot be read"}},
		"ports":         {ok(func(c *Config) { c.Brokers = []string{"k:70000", "k:0", "k", "[::1%lo]:9092"} }), []string{`brokers[0]: "k:70000" has a port that is not between 1 and 65535`, `brokers[1]: "k:0" has a port`, `brokers[2]: "k" has no port`}},
		"sasl none":     {ok(func(c *Config) { c.SASL.Password = canary }), []string{"sasl.mechanism: is missing"}},
		"sasl unknown":  {ok(func(c *Config) { c.SASL.Mechanism = "GSSAPI" }), []string{`sasl.mechanism: "GSSAPI"`}},
		"sasl empty":    {ok(func(c *Config) { c.SASL.Mechanism = "PLAIN" }), []string{"sasl.user: is missing", "sasl.password: is missing"}},
		"plain":         {ok(func(c *Config) { c.SASL = SASL{Mechanism: "PLAIN", User: "u", Password: "p"} }), nil},
		"scram":         {ok(func(c *Config) { c.SASL = SASL{Mechanism: "SCRAM-SHA-512", User: "u", Password: "p"} }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := New("analytics", c.cfg)
			if err == nil {
				_ = d.Close()
				if c.want != nil {
					t.Errorf("no error, want %q", c.want)
				}
				return
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("errors %q, want %q", lines, c.want)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], want) || strings.Contains(lines[i], canary) {
					t.Errorf("error %q, want %q", lines[i], want)
				}
			}
		})
	}
}
