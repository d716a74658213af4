package admin

import (
	"context"
	"crypto/sha256"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"eventserver/app/access"
)

// Role is what a token may do.
type Role string

// The roles. Write implies Read.
const (
	Read  Role = "read"
	Write Role = "write"
)

// Token is one operator's token, known by its SHA-256 only. A second digest is
// the next token during a rotation.
type Token struct {
	Name   string
	Role   Role
	SHA256 [][sha256.Size]byte
}

// Local is the name of every caller where no tokens are configured.
const Local = "local"

// Caller is who asks.
type Caller struct {
	Name string // its token's, or Local
	Role Role
}

type callerKey struct{}

// CallerOf is who asks, in an operation; the zero Caller elsewhere.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// NeedWrite is the error for a caller who may only read, for what a read
// operation shows on request alone, such as payloads.
func NeedWrite(ctx context.Context, what string) error {
	if c := CallerOf(ctx); c.Role != Write {
		return huma.Error403Forbidden(what + ": the token " + c.Name + " has role " + string(c.Role) + ", and this needs role write")
	}
	return nil
}

// caller is who sent the request; false when nobody that is known.
func (s *Server) caller(r *http.Request) (Caller, bool) {
	if len(s.cfg.Tokens) == 0 {
		return Caller{Name: Local, Role: Write}, true
	}
	found := access.Find(s.keys, access.Bearer(r))
	if found < 0 {
		return Caller{}, false
	}
	return Caller{Name: s.cfg.Tokens[found].Name, Role: s.cfg.Tokens[found].Role}, true
}

// challenge belongs to an answer 401.
const challenge = `Bearer realm="eventserver admin"`

// guard holds off what a browser of this machine could be made to send, and
// says who asks.
//
// Without tokens the listener's address is all that protects the API, and a
// page of the web can reach that through the operator's own browser. It cannot
// name another Host than its own (a name that it lets resolve to 127.0.0.1),
// and not send JSON across origins without asking first.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(s.cfg.Tokens) == 0 && !access.LoopbackHost(r.Host) {
			refuse(w, http.StatusForbidden, "without admin.tokens requests must name this machine as 127.0.0.1, [::1] or localhost in Host; write the URL so, or configure tokens")
			return
		}
		if err := s.origins.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "a page of another origin sent this; the API takes changes from commands and programs")
			return
		}
		c, ok := s.caller(r)
		if !ok {
			role := Write
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				role = Read
			}
			w.Header().Set("WWW-Authenticate", challenge)
			refuse(w, http.StatusUnauthorized, "this needs a token with role "+string(role)+": send one of admin.tokens as 'Authorization: Bearer TOKEN'")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// refuse answers without a wait for the body.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Connection", "close")
	problem(w, status, detail)
}

// authorize stands in front of every operation.
func (s *Server) authorize(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		op := ctx.Operation()
		if c := CallerOf(ctx.Context()); roleOf(op) == Write && c.Role != Write {
			_ = huma.WriteErr(api, ctx, http.StatusForbidden, "the token "+c.Name+" has role "+string(c.Role)+", and this needs role write: send another one of admin.tokens") // the client is gone when this fails
			return
		}
		if op.Method != http.MethodGet && !access.JSONType(ctx.Header("Content-Type")) {
			_ = huma.WriteErr(api, ctx, http.StatusUnsupportedMediaType, "send Content-Type: application/json, also without a body") // as above
			return
		}
		next(ctx)
	}
}
