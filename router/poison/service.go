package poison

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
)

// Config says what a Service works on.
type Config struct {
	Broker infra.Broker
	// Destinations are the ids that are configured, in their order. It is asked
	// at each call.
	Destinations func() []string
	// Again transforms an item of a destination once more, as
	// router.Destination.Again does. It is called by one goroutine of each run.
	Again func(ctx context.Context, destination string, poison *message.Message, r record.Redrive) (*message.Message, error)
	// Settled is told of marks that were written, for metrics; nil: nobody is.
	Settled func(mark string, n int)
	// Publisher is the broker's durable one by default.
	Publisher message.Publisher
	Logger    *slog.Logger     // for audit lines; default: discard
	Now       func() time.Time // default time.Now
}

// Service is all poison queues of a broker. It is safe for many goroutines.
type Service struct {
	cfg   Config
	seed  maphash.Seed
	life  context.Context
	end   context.CancelFunc
	pause time.Duration // before marks are tried again
	most  int           // items that are sent before their marks are written
	wg    sync.WaitGroup

	mu      sync.Mutex
	queues  map[string]*index
	runs    map[string]*handle
	begun   []string // ids of runs, oldest first
	stopped bool
}

// New returns a Service over the broker's topics. Close ends its runs.
func New(cfg Config) (*Service, error) {
	if cfg.Broker == nil || cfg.Destinations == nil || cfg.Again == nil {
		return nil, errors.New("poison: needs Broker, Destinations and Again")
	}
	if cfg.Publisher == nil {
		cfg.Publisher = cfg.Broker.Publisher(infra.Durable)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Settled == nil {
		cfg.Settled = func(string, int) {}
	}
	s := &Service{cfg: cfg, seed: maphash.MakeSeed(), pause: markPause, most: maxBatch, queues: map[string]*index{}, runs: map[string]*handle{}}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Close stops the runs between two of their steps and waits for them.
func (s *Service) Close() error {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.end()
	s.wg.Wait()
	return nil
}

func (s *Service) queue(destination string) *index {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[destination]
	if q == nil {
		q = newIndex(s.cfg.Broker, destination, s.hash)
		s.queues[destination] = q
	}
	return q
}

// Drop forgets what is known of a destination's poison queue, which may have been
// deleted: offsets of the one that is made after it begin anew.
func (s *Service) Drop(destination string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queues, destination)
}

// hash stands for a key where there may be many.
func (s *Service) hash(key string) uint64 { return maphash.String(s.seed, key) }

// targets are the destinations that a filter means.
func (s *Service) targets(destination string) []string {
	if destination != "" {
		return []string{destination}
	}
	return s.cfg.Destinations()
}

func (s *Service) configured(destination string) bool {
	return slices.Contains(s.cfg.Destinations(), destination)
}

// unknown explains a destination that has no poison queue. Where it is
// configured its topic is made when the server starts: then it is empty.
func (s *Service) unknown(destination string, err error) error {
	if !errors.Is(err, infra.ErrNoTopic) || s.configured(destination) {
		return err
	}
	return notFound(fmt.Sprintf("there is no destination %q and no poison queue of that name; the configuration has %s",
		destination, strings.Join(s.cfg.Destinations(), ", ")))
}

// each calls f with every destination that is meant and has a poison queue.
func (s *Service) each(destination string, f func(d string) error) error {
	for _, d := range s.targets(destination) {
		err := s.unknown(d, f(d))
		if errors.Is(err, infra.ErrNoTopic) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
