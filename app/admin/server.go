package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	jsonv2 "github.com/go-json-experiment/json"

	"eventserver/app/access"
)

// PathDocument is where the OpenAPI document is.
const PathDocument = "/openapi.json"

// Config of the server. Areas that are nil answer 501.
type Config struct {
	Addr   string       // host:port; port 0 picks a free one; other than loopback with Tokens only
	Tokens []Token      // none: every user of this machine may read and write
	Logger *slog.Logger // default: discard
	Build  Build        // what runs

	// The areas, a line each; every one is described in its own file.
	Configuration Configuration
	Destinations  Destinations
	Stuck         Stuck
	Reloading     Reloading
	Forgetting    Forgetting
	Poison        Poison
	PoisonRuns    PoisonRuns
	Explaining    Explaining
	Tailing       Tailing
	Backing       Backing

	more func(huma.API) // operations of tests
	pace *pace          // of tests
}

// Server is the admin API.
type Server struct {
	cfg        Config
	keys       []access.Key // of cfg.Tokens
	server     *http.Server
	origins    *http.CrossOriginProtection
	document   []byte
	slots      chan struct{} // one for each request that is being answered
	streams    chan struct{} // one for each stream
	pace       pace          // of streams
	senders    crowd         // clients whose bodies are read
	readers    crowd         // clients that answers are written to
	conns      *access.Connections
	life       context.Context
	end        context.CancelFunc
	streaming  context.Context // of streams: ends when Shutdown begins
	endStreams context.CancelFunc
	requests   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	stopped  bool      // requests may not grow any more
	freed    time.Time // when the last slot was
}

// Bounds of the answers that are made. People and scripts ask here, and an answer
// may take a look at a whole topic.
const (
	maxRequests = 64               // at once
	slotTimeout = 30 * time.Second // for any of them to end
)

// New builds the server. Listen binds the address, Serve answers.
func New(cfg Config) (*Server, error) {
	var errs []error
	if cfg.Addr == "" {
		errs = append(errs, errors.New("admin.addr: missing"))
	}
	for _, t := range cfg.Tokens {
		if t.Role != Read && t.Role != Write || t.Name == "" || len(t.SHA256) == 0 {
			errs = append(errs, fmt.Errorf("admin.tokens: %q needs a name, a digest and a role, read or write", t.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, origins: http.NewCrossOriginProtection(), slots: make(chan struct{}, maxRequests), streams: make(chan struct{}, maxStreams), pace: defaultPace, senders: crowd{most: maxWaited}, readers: crowd{most: maxWaited}, conns: access.NewConnections(maxConns, nil)}
	for _, t := range cfg.Tokens {
		s.keys = append(s.keys, access.Key{Name: t.Name, SHA256: t.SHA256})
	}
	if cfg.pace != nil {
		s.pace = *cfg.pace
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.streaming, s.endStreams = context.WithCancel(s.life)
	handler, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.server = &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return s.life },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       3 * readTimeout,
		WriteTimeout:      10 * time.Minute, // the longest look at a topic
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ConnState:         s.conns.State,
		ConnContext:       s.conns.Context,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Document is the OpenAPI document of every server of this version.
func Document() ([]byte, error) {
	s, err := New(Config{Addr: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	s.end()
	return s.document, nil
}

func (s *Server) routes() (http.Handler, error) {
	r := chi.NewRouter()
	// Who is not known is refused before anything of the body is read.
	r.Use(access.Marked, s.count, s.guard, s.receive, s.bound, s.recover, middleware.GetHead)
	api := humachi.New(r, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "event-server admin API", Version: "1",
				Description: "The API of operators. Errors are RFC 9457 problems. Answers can have users' keys; logs never do. Answers have payloads only where an operation says so."},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{scheme: {Type: "http", Scheme: "bearer", Description: "One of admin.tokens, with role read or write (which implies read). Without admin.tokens no token is needed, and the API listens on loopback only."}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{plain},
	})
	api.UseMiddleware(s.audit, s.authorize(api))
	for _, register := range s.areas() {
		register(api)
	}
	if s.cfg.more != nil {
		s.cfg.more(api)
	}
	compact, err := json.Marshal(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("admin: the OpenAPI document: %w", err)
	}
	var document bytes.Buffer
	if err := json.Indent(&document, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("admin: the OpenAPI document: %w", err)
	}
	document.WriteByte('\n')
	s.document = document.Bytes()
	r.Get(PathDocument, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(s.document) // the client is gone when this fails
	})
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "there is nothing at this path; GET "+PathDocument+" lists what there is")
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if r.Match(chi.NewRouteContext(), method, req.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		problem(w, http.StatusMethodNotAllowed, "this path does not take "+req.Method+"; GET "+PathDocument+" lists what there is")
	})
	return r, nil
}

// strictJSON refuses what encoding/json passes over: a member given twice, one
// in other case, broken UTF-8.
var strictJSON = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		return jsonv2.Unmarshal(data, v, jsonv2.RejectUnknownMembers(true))
	},
}

// count counts requests, for Shutdown.
func (s *Server) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.began() {
			problem(w, http.StatusServiceUnavailable, "the server is stopping")
			return
		}
		defer s.requests.Done()
		next.ServeHTTP(w, r)
	})
}

// bound bounds the requests that are being answered.
func (s *Server) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w}
		if s.slot(r.Context()) {
			func() {
				defer s.free()
				s.conns.Busy(r)
				defer s.conns.Waits(r)
				next.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), answerKey{}, a)))
			}()
		} else {
			w.Header().Set("Retry-After", "1")
			problem(a, http.StatusTooManyRequests, fmt.Sprintf("%d requests are being answered and none ended within %s; ask again in a second", maxRequests, slotTimeout))
		}
		if a.stream != nil {
			s.stream(a, r)
			return
		}
		s.send(a)
	})
}

// slot waits for a slot, first come, first served, for as long as others become free:
// who was refused earlier and asked again would be the last once more. A connection in
// the queue still makes room for a newer one, so the queue is no longer than maxConns.
func (s *Server) slot(ctx context.Context) bool {
	patience := time.NewTimer(slotTimeout)
	defer patience.Stop()
	for {
		select {
		case s.slots <- struct{}{}:
			return true
		case <-ctx.Done(): // the client is gone
			return false
		case <-patience.C:
			s.mu.Lock()
			left := slotTimeout - time.Since(s.freed)
			s.mu.Unlock()
			if left <= 0 { // each slot has a long look at a topic
				return false
			}
			patience.Reset(left)
		}
	}
}

// free gives a slot back.
func (s *Server) free() {
	s.mu.Lock()
	s.freed = time.Now()
	s.mu.Unlock()
	<-s.slots
}

func (s *Server) began() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.requests.Add(1)
	}
	return !s.stopped
}

// recover answers a request whose operation panicked. The value of the panic is
// not logged: it may be a piece of an event.
func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if r.Context().Err() != nil { // the client has gone while its answer was written
				return
			}
			s.cfg.Logger.Error("an admin request failed", slog.String("panic", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			if ww.Status() == 0 {
				problem(ww, http.StatusInternalServerError, "the server made a mistake; its log has more")
			}
		}()
		next.ServeHTTP(ww, r)
	})
}

// Listen binds the address, so that a taken port is an error of the start.
func (s *Server) Listen(ctx context.Context) error {
	const cure = `; give another admin.addr, or "off" for no admin API`
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("admin.addr: %w%s", err, cure)
	}
	// A name may mean another address than whoever checked it thought.
	if a, ok := l.Addr().(*net.TCPAddr); len(s.cfg.Tokens) == 0 && (!ok || !a.IP.IsLoopback()) {
		return errors.Join(fmt.Errorf("admin.addr: %s can be reached from other machines and there are no admin.tokens; add tokens, or write 127.0.0.1 before the port", l.Addr()), l.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return nil
}

// Addr is the bound address after Listen, "" before.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Serve answers requests until Shutdown, after Listen.
func (s *Server) Serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Shutdown ends the streams, refuses new requests and returns when those under way
// have their answers. When ctx ends first, they are cancelled and waited for: what they
// use may be closed next.
func (s *Server) Shutdown(ctx context.Context) error {
	s.endStreams()
	err := s.server.Shutdown(ctx)
	s.end()
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	s.mu.Lock()
	s.stopped = true
	if s.listener != nil {
		_ = s.listener.Close() // where Serve was not called; otherwise closed already
	}
	s.mu.Unlock()
	s.requests.Wait()
	return err
}
