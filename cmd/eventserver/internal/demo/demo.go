package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eventserver/app"
	"eventserver/app/config"
	"eventserver/cmd/eventserver/internal/checker"
	"eventserver/destinations"
	"eventserver/router/plural"
)

// Config of the demonstration.
type Config struct {
	Users  int           // default 20
	Events int           // of each user; default 50
	Down   time.Duration // how long one destination is down; default 3 s
	Out    io.Writer
	Logger *slog.Logger
}

// names are the destinations: one sound, one slow, one that fails now and
// then, one that is down for a while.
var names = [...]string{"steady", "slow", "flaky", "down"}

// Run runs the demonstration and returns its verdict. An error means that it
// could not be run to its end.
func Run(ctx context.Context, cfg Config) (checker.Verdict, error) {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&cfg.Users, 20)
	def(&cfg.Events, 50)
	if cfg.Down <= 0 {
		cfg.Down = 3 * time.Second
	}
	dir, err := os.MkdirTemp("", "eventserver-demo-")
	if err != nil {
		return checker.Verdict{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	d := &demo{cfg: cfg, checker: checker.New(names[:]...), counts: map[string]*counts{}, began: time.Now()}
	for _, name := range names {
		d.counts[name] = &counts{}
	}
	kind := app.NewKind("demo", func(id string, _ struct{}) (destinations.Destination, error) {
		return &destination{id: id, demo: d, counts: d.counts[id]}, nil
	})
	c, err := config.Parse("demo", []byte(document(dir)), config.Checks{Kinds: map[string]config.KindCheck{"demo": config.CheckInto[struct{}]}, Here: true})
	if err != nil {
		return checker.Verdict{}, err
	}
	a, err := app.New(ctx, c, app.Options{Kinds: []app.Kind{kind}, Stdout: cfg.Out, Logger: cfg.Logger})
	if err != nil {
		return checker.Verdict{}, err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(run) }()
	select {
	case <-a.Ready():
	case err := <-ended:
		return checker.Verdict{}, errors.Join(errors.New("the server did not start"), err)
	}
	err = d.drive(ctx, "http://"+a.Addr()+"/v1/events")
	stop()
	return d.checker.Verdict(), errors.Join(err, <-ended)
}

func document(dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "http: {addr: \"127.0.0.1:0\"}\nbroker: {kind: embedded, dir: %q}\ndestinations:\n", dir)
	for _, name := range names {
		fmt.Fprintf(&b, "  - {id: %s, kind: demo, retry: {initial: 50ms, max: 1s}, breaker: {initial: 200ms, max: 1s}}\n", name)
	}
	return b.String()
}

type demo struct {
	cfg     Config
	checker *checker.Checker
	posted  atomic.Int64
	counts  map[string]*counts // by destination
	began   time.Time
}

// counts are what the terminal shows of one destination.
type counts struct{ delivered, failed atomic.Int64 }

// drive posts every user's events and waits until all have arrived.
func (d *demo) drive(ctx context.Context, url string) error {
	fmt.Fprintf(d.cfg.Out, "%s of %s each to %d destinations: %s\n", plural.Count(d.cfg.Users, "user posts", "users post"), plural.Count(d.cfg.Events, "event"), len(names), strings.Join(names[:], ", "))
	var wg sync.WaitGroup
	errs := make([]error, d.cfg.Users)
	for u := range d.cfg.Users {
		wg.Go(func() { errs[u] = d.user(ctx, url, fmt.Sprintf("user-%d", u+1)) })
	}
	posted := make(chan struct{})
	go func() { wg.Wait(); close(posted) }()

	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2*time.Minute + d.cfg.Down)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return errors.New("not everything was delivered in time")
		case <-tick.C:
		}
		d.show()
		select {
		case <-posted:
			if err := errors.Join(errs...); err != nil {
				return err
			}
			if d.checker.Verdict().Lost == 0 {
				return nil
			}
		default:
		}
	}
}

// user posts one user's events in order; a refused one is sent again.
func (d *demo) user(ctx context.Context, url, user string) error {
	for n := 1; n <= d.cfg.Events; n++ {
		body := fmt.Sprintf(`{"id":"%s-%d","type":"demo.step","userId":"%s","data":{"n":%d}}`, user, n, user, n)
		for {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusAccepted {
				break
			}
			if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
				return fmt.Errorf("posting event %d of %s was answered %d", n, user, resp.StatusCode)
			}
			if err := wait(ctx, time.Second); err != nil {
				return err
			}
		}
		d.checker.Accept(user, n)
		d.posted.Add(1)
	}
	return nil
}

// show prints the counters of this moment.
func (d *demo) show() {
	fmt.Fprintf(d.cfg.Out, "%5.1fs  accepted %5d", time.Since(d.began).Seconds(), d.posted.Load())
	for _, name := range names {
		fmt.Fprintf(d.cfg.Out, "  %s %d (%d failed attempts)", name, d.counts[name].delivered.Load(), d.counts[name].failed.Load())
	}
	fmt.Fprintln(d.cfg.Out)
}

// destination receives as its name says.
type destination struct {
	id     string
	demo   *demo
	counts *counts
}

func (d *destination) ID() string { return d.id }

func (d *destination) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

func (d *destination) Deliver(ctx context.Context, dl destinations.Delivery) error {
	err := d.trouble(ctx)
	if err != nil {
		d.counts.failed.Add(1)
		return err
	}
	var event struct {
		Data struct {
			N int `json:"n"`
		} `json:"data"`
	}
	if err := json.Unmarshal(dl.Payload.Body, &event); err != nil {
		return destinations.Permanent(err)
	}
	d.demo.checker.Deliver(d.id, dl.Key, event.Data.N, dl.Sequence)
	d.counts.delivered.Add(1)
	return nil
}

func (d *destination) trouble(ctx context.Context) error {
	switch d.id {
	case "slow":
		return wait(ctx, 20*time.Millisecond+rand.N(80*time.Millisecond))
	case "flaky":
		if err := wait(ctx, rand.N(20*time.Millisecond)); err != nil {
			return err
		}
		if rand.N(10) < 3 {
			return errors.New("the receiver answered 500")
		}
	case "down":
		if time.Since(d.demo.began) < d.demo.cfg.Down {
			return destinations.Unavailable(errors.New("connection refused"))
		}
	}
	return nil
}

func wait(ctx context.Context, t time.Duration) error {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
