package webhook

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"
	"golang.org/x/net/idna"

	"eventserver/destinations"
)

// Precheck looks for the file of authorities.
func (c Config) Precheck() error {
	if c.CAFile == "" {
		return nil
	}
	return destinations.TLSFiles{CA: c.CAFile}.Load(newTLSConfig())
}

// Warn looks for an address that the guard will refuse at each attempt. A name is
// not resolved: what it means may change.
func (c Config) Warn() error {
	u, err := url.Parse(c.URL)
	if err == nil && !c.AllowPrivate && guarded(u.Hostname()) {
		return errors.New("url: names an address that is private, loopback, link-local or reserved; write allow_private: true beside it to send there, or give a public address")
	}
	return nil
}

// newGuard refuses every address but public ones.
func newGuard() *ssrf.Guardian { return ssrf.New(ssrf.WithAnyPort()) }

// guarded reports whether the guard refuses host whatever its name means: an
// address in any spelling, or this machine's own name.
func guarded(host string) bool {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil { // as net/http does before it dials
		host = ascii
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "localhost.localdomain" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		var ok bool
		if addr, ok = looseIPv4(host); !ok {
			return false
		}
	}
	network := "tcp6"
	if addr.Is4() {
		network = "tcp4"
	}
	return newGuard().Safe(network, net.JoinHostPort(addr.WithZone("").String(), "443"), nil) != nil
}

// looseIPv4 reads what the C library takes for an address too: 127.1, 0x7f000001,
// 017700000001. The last part stands for all the bytes that are left.
func looseIPv4(host string) (netip.Addr, bool) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 0, 32)
		last := i == len(parts)-1
		if err != nil || strings.Contains(part, "_") || strings.HasPrefix(part, "0o") || strings.HasPrefix(part, "0b") ||
			!last && n > 255 || last && n >= 1<<(8*(4-i)) {
			return netip.Addr{}, false
		}
		if last {
			sum |= n
		} else {
			sum |= n << (8 * (3 - i))
		}
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}
