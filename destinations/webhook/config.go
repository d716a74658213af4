package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"eventserver/destinations"
)

// Kind is the name of this kind of destination in the configuration.
const Kind = "webhook"

// Config says where and how to post.
type Config struct {
	URL              string              `yaml:"url" required:"true" doc:"URL of the receiver, http or https. Put credentials in headers, not here."`
	Method           string              `yaml:"method" default:"POST" oneof:"POST PUT PATCH" doc:"HTTP method."`
	Headers          map[string]string   `yaml:"headers" secret:"true" doc:"Additional headers of each request, such as Authorization. They cannot replace the server's own."`
	Secret           destinations.Secret `yaml:"secret" doc:"Signing secret: whsec_ and the base64 of 24 to 64 bytes. Without it requests are not signed."`
	SecretNext       destinations.Secret `yaml:"secret_next" doc:"Second signing secret, while receivers change from one to the other."`
	AllowPrivate     bool                `yaml:"allow_private" default:"false" doc:"Also send to private, loopback and link-local addresses."`
	PermanentStatus  []int               `yaml:"permanent_statuses" doc:"Statuses that are permanent failures, instead of all 3xx and 4xx except 408, 410, 425, 429 and a 413 with Retry-After."`
	MaxResponseBytes int                 `yaml:"max_response_bytes" default:"4096" unit:"bytes" min:"1" doc:"Maximum bytes read of an answer. After a longer answer the connection is not reused."`
	MaxRetryAfter    time.Duration       `yaml:"max_retry_after" default:"1h" doc:"Maximum wait that a Retry-After header can ask for."`
	CAFile           string              `yaml:"ca_file" doc:"PEM file of the certificate authorities to trust instead of the system's."`
	MaxIdleConns     int                 `yaml:"max_idle_conns" default:"64" min:"1" doc:"Connections kept open for reuse."`
	UserAgent        string              `yaml:"-"` // of the program; default eventserver
	Proxy            string              `yaml:"proxy" secret:"true" doc:"HTTP proxy. The proxy hides the receiver's address from the address guard, so it needs allow_private: true and its own filter."`
}

func (c Config) withDefaults() Config {
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	if c.MaxResponseBytes == 0 {
		c.MaxResponseBytes = 4096
	}
	if c.MaxRetryAfter == 0 {
		c.MaxRetryAfter = time.Hour
	}
	if c.MaxIdleConns == 0 {
		c.MaxIdleConns = 64
	}
	if c.UserAgent == "" {
		c.UserAgent = userAgent
	}
	return c
}

// Validate returns errors.Join of one "key: what and how to mend it" for each
// fault. It shows no URL, secret or header value.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	fault := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+format, args...))
	}
	if err := checkURL(c.URL, "https://example.com/events", false, "http", "https"); err != nil {
		fault("url", "%w", err)
	}
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, c.Method) {
		fault("method", "%q is not POST, PUT or PATCH; write one of these", c.Method)
	}
	errs = append(errs, checkHeaders(c.Headers)...)
	if _, err := decodeSecret(c.Secret); err != nil {
		fault("secret", "%w", err)
	}
	if _, err := decodeSecret(c.SecretNext); err != nil {
		fault("secret_next", "%w", err)
	}
	if c.SecretNext != "" && c.Secret == "" {
		fault("secret_next", "is given without secret; give the present one as secret")
	}
	for i, s := range c.PermanentStatus {
		if s < 300 || s > 599 {
			fault(fmt.Sprintf("permanent_statuses[%d]", i), "%d is not a status of a failure; give 300 to 599", s)
		}
	}
	if c.MaxResponseBytes < 0 {
		fault("max_response_bytes", "%d is negative; give 1 or more, or delete it", c.MaxResponseBytes)
	}
	if c.MaxRetryAfter < 0 {
		fault("max_retry_after", "%s is negative; give a wait such as 1h", c.MaxRetryAfter)
	}
	if c.MaxIdleConns < 0 {
		fault("max_idle_conns", "%d is negative; give 1 or more, or delete it", c.MaxIdleConns)
	}
	if c.Proxy != "" {
		if err := checkURL(c.Proxy, "http://proxy.example.com:3128", true, "http", "https", "socks5"); err != nil {
			fault("proxy", "%w", err)
		}
		if !c.AllowPrivate {
			fault("proxy", "hides the receiver's address from the guard; let the proxy refuse private addresses and set allow_private: true")
		}
	}
	return errors.Join(errs...)
}

// checkURL never repeats the URL, whose path and query may hold a token; it
// shows example instead.
func checkURL(s, example string, userinfo bool, schemes ...string) error {
	if s == "" {
		return errors.New("is missing; give the address to send to")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("is not a URL; write one such as " + example)
	case !slices.Contains(schemes, u.Scheme):
		scheme := u.Scheme
		if u.Host == "" && scheme != "" || len(scheme) > 16 {
			scheme = "" // "token:..." is not shown: what is before the colon may be anything
		}
		return fmt.Errorf("scheme %q is not %s; write one such as %s", scheme, strings.Join(schemes, " or "), example)
	case u.Hostname() == "":
		return errors.New("has no host; write one such as " + example)
	case destinations.CheckURLHost(u) != nil:
		return fmt.Errorf("%w; write one such as %s", destinations.CheckURLHost(u), example)
	case u.User != nil && !userinfo:
		return errors.New("holds credentials; give them in headers, as Authorization")
	case u.Fragment != "":
		return errors.New("has a fragment (#...), which is never sent; delete it")
	}
	return nil
}

const secretPrefix = "whsec_"

// decodeSecret is the key of a signature; nil for no secret.
func decodeSecret(s destinations.Secret) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	enc, ok := strings.CutPrefix(s.Reveal(), secretPrefix)
	if !ok {
		return nil, errors.New("does not start with whsec_; write whsec_ and the base64 of 24 to 64 random bytes")
	}
	key, err := base64.StdEncoding.DecodeString(enc)
	if err != nil { // the decoder's own words would show characters' positions
		return nil, errors.New("is not base64 behind whsec_; write the base64 of 24 to 64 random bytes, with its padding")
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("is %d bytes long; give 24 to 64 random bytes", len(key))
	}
	return key, nil
}

// checkHeaders checks what an operator adds to each request.
func checkHeaders(headers map[string]string) []error {
	var errs []error
	seen := map[string]string{}
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names) // the same faults in the same order
	for _, name := range names {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			errs = append(errs, fmt.Errorf("headers: %.40q is not a header name; write letters, digits and -, such as X-Shop", name))
			continue
		case reserved(canonical):
			errs = append(errs, fmt.Errorf("headers.%s: is set by the server; delete it", name))
		case !httpguts.ValidHeaderFieldValue(headers[name]):
			errs = append(errs, fmt.Errorf("headers.%s: has a control character; delete it", name))
		case seen[canonical] != "":
			errs = append(errs, fmt.Errorf("headers.%s: is the same header as %s; delete one", name, seen[canonical]))
		}
		seen[canonical] = name
	}
	return errs
}
