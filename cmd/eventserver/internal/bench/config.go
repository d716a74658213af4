package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Config of a benchmark. Zero fields take the defaults.
type Config struct {
	Program string   // the eventserver to run; required
	Against []string // other eventservers to compare it with, such as an older release; each runs in turn with it
	Broker  string   // value of broker: in YAML; PREFIX is replaced by a new name for each run. Default: embedded in a temporary directory

	// ByHand is the broker of the program by hand (package byhand), in flags of `bench
	// by-hand` in which DIR and PREFIX are replaced. It runs in turn with the others. nil: it does not.
	ByHand []string

	Orderings []string        // key, partition; each is run on each latency. Default: key
	Latencies []time.Duration // of the receivers. Default: 0
	Pairs     int             // runs of each, taken in turn. Default: 1

	Users        int           // default 500
	Connections  int           // that post; default 64
	Size         int           // bytes of an event; default 200
	Batch        int           // events in a request; default 1
	Rate         float64       // events a second, 0: as fast as the answers come
	Destinations int           // default 2
	DeliverBatch int           // events in a webhook request; default 1
	Schemas      bool          // hold every event against a schema, three times: at ingest and for each destination
	Failing      float64       // share of the users whose deliveries always fail, 0 to 1
	Dead         int           // destinations beside the others, which refuse connections
	Hanging      int           // the same, which accept connections and never answer
	Fill         int           // events accepted before the warm-up, as fast as the answers come
	Concurrency  int           // of each destination; default 512
	Backlog      int           // most events accepted and not delivered; default 10,000
	Warmup       time.Duration // before the clock starts; default 3 s
	Duration     time.Duration // measured; default 10 s
	Drain        time.Duration // longest wait for what is left; default 60 s

	// Undelivered measures something else: what a start takes with so many events in the
	// directory whose destinations do not answer. 0: no.
	Undelivered int
	Starts      int // after a stop, and as many after a kill; default 5

	Profile string    // directory for the server's CPU and heap profiles; "": none
	Out     io.Writer // the table and the progress
}

func (c Config) withDefaults() (Config, error) {
	given := c
	def(&c.Pairs, 1)
	def(&c.Users, 500)
	def(&c.Connections, 64)
	def(&c.Size, 200)
	def(&c.Batch, 1)
	def(&c.Destinations, 2)
	def(&c.DeliverBatch, 1)
	def(&c.Concurrency, 512)
	def(&c.Backlog, 10_000)
	def(&c.Warmup, 3*time.Second)
	def(&c.Duration, 10*time.Second)
	def(&c.Drain, 60*time.Second)
	def(&c.Starts, 5)
	if len(c.Orderings) == 0 {
		c.Orderings = []string{"key"}
	}
	if len(c.Latencies) == 0 {
		c.Latencies = []time.Duration{0}
	}
	if c.Broker == "" {
		c.Broker = "{kind: embedded, dir: DIR}"
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	var errs []error
	for name, v := range map[string]float64{"pairs": float64(given.Pairs), "users": float64(given.Users), "connections": float64(given.Connections),
		"size": float64(given.Size), "batch": float64(given.Batch), "rate": given.Rate, "destinations": float64(given.Destinations),
		"deliver-batch": float64(given.DeliverBatch), "concurrency": float64(given.Concurrency), "backlog": float64(given.Backlog), "dead": float64(given.Dead), "hanging": float64(given.Hanging), "fill": float64(given.Fill),
		"warmup": float64(given.Warmup), "duration": float64(given.Duration), "drain": float64(given.Drain),
		"undelivered": float64(given.Undelivered), "starts": float64(given.Starts)} {
		if v < 0 {
			errs = append(errs, fmt.Errorf("bench: %s %v: give 0 for the default, or more", name, v))
		}
	}
	if c.Program == "" {
		errs = append(errs, errors.New("bench: Program is missing"))
	}
	if c.Failing < 0 || c.Failing >= 1 {
		errs = append(errs, fmt.Errorf("bench: failing users %v: give a share from 0 to below 1", c.Failing))
	}
	if c.Undelivered > 0 && (c.Failing > 0 || c.Dead > 0 || c.Hanging > 0 || c.Fill > 0) {
		errs = append(errs, errors.New("bench: with undelivered events no users fail, no destinations are dead and nothing is filled in before"))
	}
	if c.Users < c.Connections {
		errs = append(errs, fmt.Errorf("bench: %d users on %d connections: each connection needs a user of its own", c.Users, c.Connections))
	}
	if c.Size < minSize {
		errs = append(errs, fmt.Errorf("bench: size %d: an event needs %d bytes", c.Size, minSize))
	}
	for i, p := range c.Against {
		if p == "" || p == c.Program || slices.Contains(c.Against[:i], p) {
			errs = append(errs, fmt.Errorf("bench: against %q: name each other program once", p))
		}
	}
	for _, o := range c.Orderings {
		if o != "key" && o != "partition" {
			errs = append(errs, fmt.Errorf("bench: ordering %q: give key or partition", o))
		}
	}
	return c, errors.Join(errs...)
}

// subject is what one run measures.
type subject struct {
	program, ordering string
	byHand            bool // the program by hand: program starts it
	quiet             bool // without failing users and dead destinations
}

// name tells it from the others of its pair.
func (s subject) name(program string) string {
	switch {
	case s.byHand:
		return s.title()
	case s.quiet:
		return "quiet"
	case s.program == program:
		return s.ordering
	}
	return s.ordering + " " + s.program
}

// title is the program's path, or what it is.
func (s subject) title() string {
	if s.byHand {
		return "by hand"
	}
	return s.program
}

// subjects are those of a pair. The first is compared with each other one.
func (c Config) subjects() []subject {
	var all []subject
	for _, ordering := range c.Orderings {
		for _, program := range append([]string{c.Program}, c.Against...) {
			all = append(all, subject{program: program, ordering: ordering})
		}
	}
	if c.ByHand != nil {
		all = append(all, subject{program: c.Program, byHand: true})
	}
	if c.Failing > 0 || c.Dead > 0 || c.Hanging > 0 {
		all = append(all, subject{program: c.Program, ordering: c.Orderings[0], quiet: true})
	}
	return all
}

// of is the configuration of one subject's run.
func (c Config) of(s subject) Config {
	if s.quiet {
		c.Failing, c.Dead, c.Hanging = 0, 0, 0
	}
	return c
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
