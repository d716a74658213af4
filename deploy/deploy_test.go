package deploy_test

import (
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v4"

	"eventserver/app"
	"eventserver/metrics"
)

// project loads docker-compose.yml; the loader checks it against the official schema.
func project(t *testing.T) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithName("eventserver"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompose(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z./-]+:v?\d+\.\d+\.\d+$`)
	p := project(t)
	if want := []string{"eventserver", "grafana", "kafka", "prometheus"}; !slices.Equal(p.ServiceNames(), want) {
		t.Errorf("services %v, want %v", p.ServiceNames(), want)
	}
	for name, s := range p.Services {
		if s.Build == nil && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %q is not pinned to a version", name, s.Image)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to the network", name, port.Published)
			}
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s: %s is mounted writable", name, v.Target)
			}
		}
	}
}

// The mounted configuration is valid, and listens where the port is published.
func TestMountedConfig(t *testing.T) {
	cfg, err := app.Load("eventserver.yaml", app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := project(t).Services["eventserver"]
	if got := cfg.HTTP.Addr; got != ":8080" || s.Ports[0].Target != 8080 {
		t.Errorf("listens on %s, published %d", got, s.Ports[0].Target)
	}
	if !slices.Contains(s.Command, s.Volumes[0].Target) {
		t.Errorf("command %v does not name the mounted %s", s.Command, s.Volumes[0].Target)
	}
}

func finalStage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split(string(b), "\nFROM ")
	if len(stages) != 2 {
		t.Errorf("%d stages, want 2", len(stages))
	}
	return stages[len(stages)-1]
}

func TestDockerfile(t *testing.T) {
	final := finalStage(t)
	for _, want := range []string{"gcr.io/distroless/static", ":nonroot", "USER nonroot", `ENTRYPOINT ["/eventserver"]`, "EXPOSE 8080"} {
		if !strings.Contains(final, want) {
			t.Errorf("the final stage lacks %q", want)
		}
	}
}

// The image that was run without a configuration listened on 127.0.0.1 inside
// its container, where a published port reaches nothing.
func TestBakedConfig(t *testing.T) {
	cfg, err := app.Load("container.yaml", app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(cfg.HTTP.Addr)
	if err != nil || host != "" || port != "8080" {
		t.Errorf("listens on %q, want every interface and the port that is exposed (%v)", cfg.HTTP.Addr, err)
	}
	final := finalStage(t)
	if cfg.Broker.Kind != "embedded" || !strings.Contains(final, "\nVOLUME "+cfg.Broker.Dir+"\n") {
		t.Errorf("broker %s in %q, which is not the image's volume", cfg.Broker.Kind, cfg.Broker.Dir)
	}
	if len(cfg.Destinations) != 1 || cfg.Destinations[0].Kind != "log" {
		t.Errorf("destinations %v, want one log", cfg.Destinations)
	}
	copied := regexp.MustCompile(`(?m)^COPY --chmod=0644 deploy/container\.yaml (\S+)$`).FindStringSubmatch(final)
	if copied == nil {
		t.Fatal("the final stage does not copy deploy/container.yaml for everyone to read")
	}
	if want := `CMD ["--config", "` + copied[1] + `"]`; !strings.Contains(final, "\n"+want) {
		t.Errorf("the default command is not %s", want)
	}
	// A configuration of one's own is mounted over it.
	if target := project(t).Services["eventserver"].Volumes[0].Target; target != copied[1] {
		t.Errorf("docker-compose.yml mounts %s, the image has %s", target, copied[1])
	}
}

// The Kafka that is run is the one that the tests run on.
func TestKafkaIsTheTestedOne(t *testing.T) {
	script, err := os.ReadFile("../scripts/kafka")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(project(t).Services["kafka"].Image, ":")
	if !regexp.MustCompile(`\b` + regexp.QuoteMeta(version) + `\b`).Match(script) {
		t.Errorf("docker-compose.yml runs Kafka %s, scripts/kafka another", version)
	}
}

func TestPrometheusScrapesEventserver(t *testing.T) {
	b, err := os.ReadFile("prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Scrape []struct {
			Job    string `yaml:"job_name"`
			Static []struct{ Targets []string }
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `targets: ["eventserver:8080"]`) || c.Scrape[0].Job != "eventserver" {
		t.Errorf("prometheus.yml does not scrape eventserver:8080")
	}
}

// metricNames asks the code, so that a renamed metric breaks the tests of what asks for it.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	m.Build("v1", "c0ffee", "go1") // as the app does
	m.SchemaViolations.WithLabelValues("ingest", "t", "warn")
	m.Destination("d", "log", func() metrics.State {
		return metrics.State{Readers: []metrics.Reader{{}}, Lag: []metrics.Lag{{Topic: "t", Group: "g"}}}
	})
	m.Handler("ingest")
	m.Publisher("ingest", nil)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range families {
		known[f.GetName()] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			for _, part := range []string{"_bucket", "_count", "_sum"} {
				known[f.GetName()+part] = true
			}
		}
	}
	return known
}
