package app

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/app/config"
	"eventserver/app/config/strict"
)

// Options are what a program that embeds event-server may change.
type Options struct {
	Kinds   []Kind       // destination kinds of the program's own
	Brokers []BrokerKind // kinds of broker of the program's own
	Stdout  io.Writer    // where destinations of kind log write; default os.Stdout
	Logger  *slog.Logger // default: discard
	// LogDropped is how many lines the writer behind Logger has dropped, for the
	// metrics; nil: it drops none. The App writes through Logger alone and waits
	// for it: a Logger that may block belongs in front of a logwriter.Writer.
	LogDropped func() uint64
	// Level is the level of Logger, so that a reload can change it; nil: it cannot.
	Level *slog.LevelVar
	// Source reads the configuration again, for App.ReloadSource; nil: it is
	// nowhere to be read from.
	Source func() (*config.Config, error)
	// Registry receives the metrics; default a new one.
	Registry *prometheus.Registry
	// HandleOnly leaves HTTP out, the admin API too: the program only runs
	// destinations, on a cluster that others write to. The other kinds of broker are
	// in the server's own process: there, handlers are a Kind of the server's.
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

func (o Options) logDropped() func() uint64 {
	if o.LogDropped == nil {
		return func() uint64 { return 0 }
	}
	return o.LogDropped
}

// Load reads a configuration for a server, with the options' kinds: that of a
// file, or of what stands for one (config.Stdin). An empty path is the
// configuration that runs without a file. The error lists every fault.
func Load(path string, o Options) (*config.Config, error) {
	return config.Load(path, o.served())
}

// Parse is Load for a configuration that a program has in memory, as YAML.
func Parse(yaml []byte, o Options) (*config.Config, error) {
	return config.Parse("the configuration", yaml, o.served())
}

// Check is Load for a person: what would run and fail at each use is a fault, too.
func Check(path string, o Options) (*config.Config, error) {
	checks := o.served()
	checks.Strict = true
	checks.Whole = func(cfg *config.Config) error { return errors.Join(o.wholeFaults(cfg), misspeltTopics(cfg)) }
	return config.Load(path, checks)
}

func (o Options) served() config.Checks {
	return config.Checks{Kinds: o.checks(), Brokers: o.brokerChecks(), Whole: o.wholeFaults, Here: !o.HandleOnly}
}

// LoadPartly is Load for a program beside the server, on a machine that may lack
// the server's variables, secrets and files: config.Need says what is missing.
func LoadPartly(path string, o Options) (*config.Config, error) {
	return config.Load(path, config.Checks{Kinds: o.checks(), Brokers: o.brokerChecks(), Partly: true})
}

// wholeFaults are those of the schemas, of what names them, and of sections that
// only the app knows together.
func (o Options) wholeFaults(cfg *config.Config) error {
	_, err := loadPolicy(cfg)
	if o.HandleOnly {
		err = errors.Join(needShared(cfg, handleInstead), err)
	}
	return errors.Join(readable(cfg), o.shared(cfg), unknownTopics(cfg), err)
}

// handleInstead is what to do where HandleOnly cannot be.
const handleInstead = "give the handlers to the server as one of its app.Options.Kinds"

// ErrReadOnce is the error of a reload where the configuration came through a
// pipe, which cannot be read a second time.
var ErrReadOnce = errors.New("the configuration did not come from a regular file, so it cannot be read again; restart the server to change it")

// FileSource is an Options.Source that reads the file at path again. It is made
// before the first Load. A pipe, such as that of a shell's <(command), can be
// loaded once and never again; a reload also refuses what has become one since,
// because no reload may wait for a writer.
func FileSource(path string, o Options) func() (*config.Config, error) {
	if err := strict.Once(path); err != nil {
		return func() (*config.Config, error) { return nil, err }
	}
	info, err := os.Stat(path)
	once := err == nil && !info.Mode().IsRegular()
	return func() (*config.Config, error) {
		if once {
			return nil, ErrReadOnce
		}
		checks := o.served()
		checks.Regular = true
		return config.Load(path, checks)
	}
}
