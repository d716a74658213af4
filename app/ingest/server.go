package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	wmhttp "github.com/ThreeDotsLabs/watermill-http/v2/pkg/http"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/otel/trace"

	"eventserver/app/access"
	"eventserver/app/ingest/budget"
	"eventserver/metrics"
)

// Paths of the events API.
const (
	PathEvents  = "/v1/events"
	PathPublish = "/publish" // the original event-server's
)

// Config of the server. Zero limits take the defaults.
type Config struct {
	Addr           string // host:port; port 0 picks a free one
	MaxEventBytes  int64  // default 1 MiB
	MaxBatchBytes  int64  // of a whole body, decompressed; default 8 MiB
	MaxBatchEvents int    // default 500
	MaxInFlight    int    // requests at once, their bodies read; more get 429; default 1024
	// Memory is that of all requests, in bytes; more get 429. Default:
	// budget.Default.
	Memory         int64
	PublishTimeout time.Duration // until the broker must have answered; default 5 s
	ReadTimeout    time.Duration // of a whole request; default 30 s
	Keys           []access.Key  // none: no authentication
	// MetadataHeaders of a request go with its events, beside the usual ones.
	MetadataHeaders []string
	// MetricsAddr is a listener of the metrics' own; "": they are on Addr.
	MetricsAddr   string
	MetricsTokens []access.Key // none: everyone may read the metrics
	// Tracer makes a span of each request for events; nil: none.
	Tracer trace.Tracer
	// Contract judges each event before it is stored; nil: none.
	Contract Contract

	Ready   func(context.Context) error // asked by /readyz
	Scrape  http.Handler                // served at /metrics
	Metrics *metrics.Metrics
	Logger  *slog.Logger // default: discard
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Addr == "" {
		errs = append(errs, errors.New("http.addr: missing"))
	}
	if c.Metrics == nil || c.Scrape == nil || c.Ready == nil {
		errs = append(errs, errors.New("http: Metrics, Scrape and Ready are needed"))
	}
	if c.MaxEventBytes <= 0 {
		c.MaxEventBytes = 1 << 20
	}
	if c.MaxBatchBytes <= 0 {
		c.MaxBatchBytes = 8 << 20
	}
	if c.MaxBatchEvents <= 0 {
		c.MaxBatchEvents = 500
	}
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = 1024
	}
	if c.Memory <= 0 {
		c.Memory = budget.Default(c.MaxBatchBytes, c.MaxEventBytes, c.MaxBatchEvents)
	}
	if c.PublishTimeout <= 0 {
		c.PublishTimeout = 5 * time.Second
	}
	if c.ReadTimeout <= 0 {
		c.ReadTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// Server is the HTTP front of the pipeline.
type Server struct {
	cfg      Config
	sub      message.Subscriber
	inner    registered
	server   *http.Server
	listener net.Listener
	local    bool          // only this machine can reach the listener
	inFlight chan struct{} // a slot for each request that is being answered
	budget   *budget.Budget
	stopped  chan struct{} // closed when the server stops
	stop     sync.Once
	wrong    chan struct{} // a slot for each wrong secret whose answer waits

	scraper         *http.Server // nil: the metrics are on listener
	scraperListener net.Listener
	scraperLocal    bool

	connections *connections
}

// New builds the server. Listen binds the address, Serve answers.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, inner: registered{paths: map[string]http.HandlerFunc{}}, budget: budget.New(cfg.Memory),
		inFlight: make(chan struct{}, cfg.MaxInFlight), stopped: make(chan struct{}), wrong: make(chan struct{}, wrongMost),
	}
	s.connections = &connections{budget: s.budget, Connections: access.NewConnections(s.budget.Connections(), cfg.Metrics.ConnectionsDropped.Inc)}
	// The subscriber's own server is never started: its Close cuts requests,
	// and it has neither timeouts nor limits. We serve its router from ours.
	sub, err := wmhttp.NewSubscriber("", wmhttp.SubscriberConfig{Router: s.inner, UnmarshalMessageFunc: fromContext},
		subscriberLogger(cfg.Logger))
	if err != nil {
		return nil, fmt.Errorf("http subscriber: %w", err)
	}
	s.sub = &closeOnce{Subscriber: sub}
	const slack = 5 * time.Second // for the answer itself
	s.server = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.ReadTimeout + cfg.PublishTimeout + slack,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ConnState:         s.connections.state,
		ConnContext:       s.connections.Context,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	if cfg.MetricsAddr != "" {
		s.scraper = s.newScraper()
	}
	for _, k := range cfg.Keys {
		cfg.Metrics.ClientAccepted.WithLabelValues(k.Name)
		cfg.Metrics.ClientRejected.WithLabelValues(k.Name)
	}
	return s, nil
}

func (s *Server) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(access.Marked)
	r.Use(func(next http.Handler) http.Handler { return s.hosts(len(s.cfg.Keys) > 0, &s.local, next) })
	r.Use(middleware.GetHead) // load balancers probe with it
	r.Post(PathEvents, s.traced(PathEvents, s.guard(s.postEvents)))
	r.Post(PathPublish, s.traced(PathPublish, s.guard(s.postPublish)))
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		jsonAnswer(http.StatusOK, map[string]string{"status": "ok"}).write(w)
	})
	r.Get("/readyz", s.readyz)
	if s.cfg.MetricsAddr == "" {
		r.Method(http.MethodGet, PathMetrics, s.scrape(&s.local))
	}
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, problem(http.StatusNotFound, "", "there is nothing at this path; events go to POST "+PathEvents))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		p := problem(http.StatusMethodNotAllowed, metrics.RejectMethod, "use GET here")
		p.allow = http.MethodGet + ", " + http.MethodHead
		if r.URL.Path == PathEvents || r.URL.Path == PathPublish {
			p.Detail, p.allow = "use POST here", http.MethodPost
		}
		s.refuse(w, p)
	})
	return r
}

// Subscriber is Watermill's subscriber for PathEvents and PathPublish.
func (s *Server) Subscriber() message.Subscriber { return s.sub }

// Listen binds the address, so that a taken port is an error of the start.
func (s *Server) Listen(ctx context.Context) error {
	l, local, err := listen(ctx, "http.addr", s.cfg.Addr)
	if err != nil {
		return err
	}
	s.listener, s.connections.Listener, s.local = l, l, local
	if s.scraper == nil {
		return nil
	}
	if s.scraperListener, s.scraperLocal, err = listen(ctx, "metrics.addr", s.cfg.MetricsAddr); err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// Addr is the bound address, after Listen.
func (s *Server) Addr() string { return s.listener.Addr().String() }

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	if err := s.cfg.Ready(ctx); err != nil {
		s.refuse(w, busy(http.StatusServiceUnavailable, err.Error(), time.Second))
		return
	}
	jsonAnswer(http.StatusOK, map[string]string{"status": "ready"}).write(w)
}
