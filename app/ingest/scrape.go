package ingest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"eventserver/app/access"
	"eventserver/metrics"
)

// PathMetrics is where the metrics are.
const PathMetrics = "/metrics"

// scrape is the handler of PathMetrics. With MetricsTokens it asks for one of
// them, as Prometheus sends it: a bearer's, or the password of Basic.
func (s *Server) scrape(local *bool) http.Handler {
	if len(s.cfg.MetricsTokens) == 0 {
		return s.hosts(false, local, s.cfg.Scrape)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.known(r, s.cfg.MetricsTokens) < 0 {
			p := problem(http.StatusUnauthorized, metrics.RejectAuth, "send one of metrics.tokens as 'Authorization: Bearer TOKEN' or with Basic authentication")
			p.challenge = true
			s.refuse(w, p)
			return
		}
		s.cfg.Scrape.ServeHTTP(w, r)
	})
}

// maxScrapers is the most connections of a listener for the metrics alone.
const maxScrapers = 128

// newScraper is the server of a listener that has the metrics and nothing else.
func (s *Server) newScraper() *http.Server {
	r := chi.NewRouter()
	r.Use(access.Marked, middleware.GetHead)
	r.Method(http.MethodGet, PathMetrics, s.scrape(&s.scraperLocal))
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, problem(http.StatusNotFound, "", "there is nothing at this path but GET "+PathMetrics))
	})
	const writing = 30 * time.Second
	// None is ever busy: one that reads its answer slowly makes room too.
	places := access.NewConnections(maxScrapers, s.cfg.Metrics.ConnectionsDropped.Inc)
	return &http.Server{Handler: r, ConnState: places.State, ReadHeaderTimeout: s.server.ReadHeaderTimeout, ReadTimeout: s.server.ReadHeaderTimeout,
		WriteTimeout: writing, IdleTimeout: s.server.IdleTimeout, MaxHeaderBytes: 16 << 10, ErrorLog: s.server.ErrorLog}
}

// listen binds an address, and says whether only this machine can reach it.
func listen(ctx context.Context, key, addr string) (l net.Listener, local bool, err error) {
	if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr); err != nil {
		return nil, false, fmt.Errorf("%s: %w", key, err)
	}
	a, ok := l.Addr().(*net.TCPAddr)
	return l, ok && a.IP.IsLoopback(), nil
}

// MetricsAddr is the bound address of the metrics, after Listen.
func (s *Server) MetricsAddr() string {
	if s.scraper == nil {
		return s.Addr()
	}
	return s.scraperListener.Addr().String()
}

// Serve answers requests until Shutdown. The pipeline must run by then.
func (s *Server) Serve() error {
	failed := make(chan error, 2)
	serve := func(server *http.Server, l net.Listener) {
		err := server.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		failed <- err
	}
	go serve(s.server, s.connections)
	if s.scraper == nil {
		return wrapped(<-failed)
	}
	go serve(s.scraper, s.scraperListener)
	err := <-failed
	if err != nil { // neither goes on alone
		_ = errors.Join(s.server.Close(), s.scraper.Close())
	}
	return wrapped(errors.Join(err, <-failed))
}

func wrapped(err error) error {
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}

// Shutdown refuses new requests and returns when those under way have their
// answers, or when ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() { close(s.stopped) })
	err := s.server.Shutdown(ctx)
	if s.scraper == nil {
		return err
	}
	err = errors.Join(err, s.scraper.Shutdown(ctx))
	if s.scraperListener != nil {
		_ = s.scraperListener.Close() // where Serve was not called; otherwise closed already
	}
	return err
}
