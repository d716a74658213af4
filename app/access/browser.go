package access

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// LoopbackHost reports whether a Host header names this machine as 127.0.0.1,
// [::1] or localhost.
func LoopbackHost(hostport string) bool {
	host := hostOf(hostport)
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// PrivateHost reports whether nobody on the internet can own the host of a Host
// header: an address, a name of one label, or one under localhost or internal. A
// page of an attacker's has a name that is its own, also when it lets that
// resolve to 127.0.0.1 (DNS rebinding).
func PrivateHost(hostport string) bool {
	host := strings.ToLower(hostOf(hostport))
	return !rebindable(host) || !strings.Contains(strings.TrimSuffix(host, "."), ".") || strings.HasSuffix(strings.TrimSuffix(host, "."), ".internal")
}

// rebindable reports whether a page can have been loaded from the host and the
// host mean another machine a moment later.
func rebindable(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	_, err := netip.ParseAddr(host)
	return err != nil && host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// FromPage reports whether a browser marks the request as one that a page made.
// Each marks a request that may change something.
func FromPage(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
}

// ForeignPage reports whether a page of another origin made the request, or one
// that may be: over http a name can be rebound, over https it has a certificate.
func ForeignPage(r *http.Request) bool {
	if !FromPage(r) {
		return false
	}
	if http.NewCrossOriginProtection().Check(r) != nil {
		return true
	}
	return rebindable(hostOf(r.Host)) && !strings.HasPrefix(strings.ToLower(r.Header.Get("Origin")), "https://")
}

// JSONType reports whether a Content-Type is that of JSON: a page cannot send it
// to another origin without asking first, as it can forms and plain text.
func JSONType(header string) bool {
	kind, _, _ := strings.Cut(header, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return host
}
