package config

import (
	"strings"
	"testing"
)

func parseTraces(text string) (*Config, error) {
	return Parse("f.yaml", []byte("destinations: []\ntraces: "+text+"\n"), Checks{Here: true})
}

func TestTraces(t *testing.T) {
	c, err := parseTraces(`{endpoint: "https://otlp.example/hush/a%20b", headers: {X-Team: hush, Authorization: Bearer hush}}`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Traces.SampleRatio != 1 || c.Traces.ServiceName != "eventserver" || c.Traces.Headers["X-Team"] != "hush" {
		t.Errorf("%+v", c.Traces)
	}
	if shown := c.Redacted(); strings.Contains(shown, "hush") || strings.Contains(shown, "%20") || !strings.Contains(shown, "https://otlp.example/") {
		t.Error(shown)
	}
	if Default().Traces != nil {
		t.Error("traces are on without configuration")
	}
}

func TestFaultsOfTraces(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                                      "traces.endpoint: ",
		`{endpoint: "127.0.0.1:4318"}`:                            "traces.endpoint: is no URL",
		`{endpoint: "grpc://h:4317"}`:                             "traces.endpoint: is no URL",
		`{endpoint: "http://u:hush@h"}`:                           "traces.endpoint: holds a user",
		`{endpoint: "http://h/?key=hush"}`:                        "traces.endpoint: has a query",
		`{endpoint: "http://h:70000/hush"}`:                       "traces.endpoint: has a port that is not between 1 and 65535",
		`{endpoint: "http://h:/hush"}`:                            "traces.endpoint: has no port",
		`{endpoint: "http://a..b/hush"}`:                          "traces.endpoint: has a host",
		`{endpoint: "http://h/v1/traces"}`:                        "traces.endpoint: ends in /v1/traces",
		`{endpoint: "http://h", sample_ratio: 1.5}`:               "traces.sample_ratio: ",
		`{endpoint: "http://h", service_name: ""}`:                "traces.service_name: ",
		`{endpoint: "http://h", headers: {"a b": hush}}`:          "traces.headers: ",
		`{endpoint: "http://h", headers: {Content-Type: hush}}`:   "traces.headers.Content-Type: is set",
		`{endpoint: "http://h", headers: {X-Team: "hush\u0007"}}`: "traces.headers.X-Team: has characters",
	} {
		_, err := parseTraces(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
