package byhand

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Config of the program.
type Config struct {
	Addr string // of HTTP in

	Dir string // of Pebble; "": events are on Kafka

	Brokers    []string
	Prefix     string // of the topic and the group
	Partitions int    // of the topic, when it is made

	URLs        []string // of the destinations
	Concurrency int      // attempts at once, of each destination
	Batch       int      // most events in an attempt
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	var errs []error
	if c.Addr == "" {
		errs = append(errs, errors.New("by hand: Addr is missing"))
	}
	if (c.Dir == "") == (len(c.Brokers) == 0) {
		errs = append(errs, errors.New("by hand: give Dir or Brokers"))
	}
	if len(c.URLs) == 0 {
		errs = append(errs, errors.New("by hand: URLs are missing"))
	}
	if c.Concurrency < 1 {
		errs = append(errs, errors.New("by hand: Concurrency must be at least 1"))
	}
	return errors.Join(errs...)
}

// What a stop takes at most.
const (
	answerWithin  = 5 * time.Second // requests
	attemptWithin = time.Second     // attempts
)

// Run accepts and delivers until ctx ends.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.Check(); err != nil {
		return err
	}
	attemptCtx, cancelAttempts := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelAttempts()
	var to []*destination
	for i, url := range cfg.URLs {
		if cfg.Dir == "" {
			i = 0 // each reads for itself
		}
		to = append(to, newDestination(attemptCtx, i, url, cfg))
	}
	f := &ingest{}
	var stop func()
	var end func() error
	if cfg.Dir != "" {
		d, err := openDisk(cfg.Dir, to)
		if err != nil {
			return err
		}
		f.store, stop, end = d, d.stop, d.close
		f.ready.Store(true)
	} else {
		c, err := openCluster(attemptCtx, cfg, to, func() { f.ready.Store(true) })
		if err != nil {
			return err
		}
		f.store, stop, end = c, c.stop, c.close
	}
	defer func() { // no event comes, no attempt begins, those under way end
		stop()
		for _, d := range to {
			d.stop()
		}
		late := time.AfterFunc(attemptWithin, cancelAttempts)
		defer late.Stop()
		for _, d := range to {
			d.wait()
		}
		err = errors.Join(err, end())
	}()
	listen, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	serveErr := make(chan error, 1)
	go func() { serveErr <- server.Serve(listen) }()
	select {
	case err := <-serveErr:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(attemptCtx, answerWithin)
	defer cancel()
	err = server.Shutdown(limit)
	if stopped := <-serveErr; !errors.Is(stopped, http.ErrServerClosed) {
		err = errors.Join(err, stopped)
	}
	return err
}
