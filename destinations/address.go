package destinations

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// CheckListen checks host:port to listen on: without a host it is every
// interface, and port 0 is a free one.
func CheckListen(addr string) error { return checkAddress(addr, true) }

// CheckDial checks host:port to connect to.
func CheckDial(addr string) error { return checkAddress(addr, false) }

func checkAddress(addr string, listen bool) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		var bad *net.AddrError
		if errors.As(err, &bad) && bad.Err == "missing port in address" {
			return errors.New("has no port")
		}
		return errors.New("is not host:port")
	}
	if err := checkPort(port, listen); err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); strings.HasPrefix(addr, "[") && (err != nil || !ip.Is6()) {
		return errors.New("has brackets around what is no IPv6 address")
	}
	if host == "" {
		if listen {
			return nil
		}
		return errors.New("has no host")
	}
	return checkHost(host)
}

// CheckURLHost checks the host and the port of a URL. Its error shows neither.
func CheckURLHost(u *url.URL) error {
	if u.Hostname() == "" {
		return errors.New("has no host")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if err := checkPort(port, false); err != nil {
			return err
		}
	}
	return checkHost(u.Hostname())
}

func checkPort(port string, zero bool) error {
	least := 1
	if zero {
		least = 0
	}
	n, err := strconv.Atoi(port)
	switch {
	case port == "":
		return errors.New("has no port behind the colon")
	case err != nil && !errors.Is(err, strconv.ErrRange) || err == nil && strconv.Itoa(n) != port:
		return errors.New("has a port that is no plain number")
	case err != nil || n < least || n > 65535:
		return fmt.Errorf("has a port that is not between %d and 65535", least)
	}
	return nil
}

// checkHost takes IP addresses, those of IPv6 also with a zone, and names as DNS,
// /etc/hosts and container networks have them.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	const longest = 253 // of a name of DNS
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > longest {
		return errors.New("has a host that is no name and no IP address")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, func(r rune) bool {
			return r < 0x80 && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
		}) {
			return errors.New("has a host that is no name and no IP address")
		}
	}
	// What ends in a number is an address (RFC 3696), and it was none.
	if _, err := strconv.ParseUint(labels[len(labels)-1], 0, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return errors.New("has a host that is no IP address, though it ends as one")
	}
	return nil
}
