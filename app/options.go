package app

import (
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/app/config"
)

// Options are what a program that embeds event-server may change.
type Options struct {
	Kinds  []Kind       // destination kinds of the program's own
	Stdout io.Writer    // where destinations of kind log write; default os.Stdout
	Logger *slog.Logger // default: discard
	// Level is the level of Logger, so that a reload can change it; nil: it cannot.
	Level *slog.LevelVar
	// Source reads the configuration again, for App.ReloadSource; nil: it is
	// nowhere to be read from.
	Source func() (*config.Config, error)
	// Registry receives the metrics; default a new one.
	Registry *prometheus.Registry
	// HandleOnly leaves HTTP out, the admin API too: the program only runs
	// destinations, on a broker that others write to.
	HandleOnly bool
}

func (o Options) stdout() io.Writer {
	if o.Stdout == nil {
		return os.Stdout
	}
	return o.Stdout
}

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// Load reads a configuration file with the options' kinds. An empty path is
// the configuration that runs without a file. The error lists every fault.
func Load(path string, o Options) (*config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	cfg, err := config.Load(path, o.checks())
	if err != nil {
		return nil, err
	}
	if _, err := loadPolicy(cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}
