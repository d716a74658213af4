package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"eventserver/destinations"
)

// check is what keys of clients and tokens of operators have in common; word
// stands for the secret in the cure.
func (k *APIKey) check(word string) error {
	var f faultList
	if !nameRE.MatchString(k.Name) {
		f.addf("name: %q has characters other than letters, digits and . _ -, or more than 64; give a shorter, plainer name", k.Name)
	}
	for i, d := range k.SHA256 {
		k.SHA256[i] = strings.ToLower(d)
		// The value is not shown: some put the key itself here.
		if !digestRE.MatchString(k.SHA256[i]) {
			f.addf("sha256[%d]: is not a SHA-256 digest of 64 hex digits; write what printf %%s \"$%s\" | sha256sum prints", i, word)
		}
	}
	return f.err()
}

// distinct adds a fault for each name and digest of list that was given before.
func (f *faultList) distinct(section, list string, keys []APIKey) {
	names, digests := map[string]int{}, map[string]string{}
	for i, k := range keys {
		if first, ok := names[k.Name]; ok && k.Name != "" {
			f.addf("%s[%d].name: %q is already the name of %s%s[%d]; give each its own", list, i, k.Name, section, list, first)
		} else {
			names[k.Name] = i
		}
		for j, d := range k.SHA256 {
			at := fmt.Sprintf("%s[%d].sha256[%d]", list, i, j)
			if first, ok := digests[strings.ToLower(d)]; ok && d != "" {
				f.addf("%s: is the same digest as %s%s; delete one", at, section, first)
			} else {
				digests[strings.ToLower(d)] = at
			}
		}
	}
}

// Validate checks the name and the digests, and makes these lower-case.
func (t *AdminToken) Validate() error {
	return (&APIKey{Name: t.Name, SHA256: t.SHA256}).check("TOKEN")
}

// Validate checks the address and the tokens. Without tokens only this machine
// may reach the API: there is nothing that would tell an operator from others.
func (a *Admin) Validate() error {
	var f faultList
	invalid := destinations.CheckListen(a.Addr)
	switch {
	case a.Addr == "" || a.Addr == AdminOff:
	case invalid != nil:
		f.addf("addr: %q %w; write 127.0.0.1:8081, or off for no admin API", a.Addr, invalid)
	case len(a.Tokens) == 0 && !loopback(a.Addr):
		f.addf("addr: %q can be reached from other machines and there are no admin.tokens; add tokens, or write 127.0.0.1 before the port", a.Addr)
	}
	keys := make([]APIKey, len(a.Tokens))
	for i, t := range a.Tokens {
		keys[i] = APIKey{Name: t.Name, SHA256: t.SHA256}
	}
	f.distinct("admin.", "tokens", keys)
	return f.err()
}

// loopback reports whether only this machine reaches addr. Of names, localhost
// alone is known to: any other may mean another address tomorrow.
func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// adminAddr is the default of admin.addr.
func adminAddr(httpAddr string) (string, error) {
	_, port, err := net.SplitHostPort(httpAddr)
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		return "", err
	case n == 65535:
		return "", fmt.Errorf("there is no port after %s, that of http.addr", port)
	case n > 0: // 0 is a free port, whichever: so is the next
		n++
	}
	return net.JoinHostPort("127.0.0.1", strconv.FormatUint(n, 10)), nil
}

// adminFaults are those that admin has with the rest of the file.
func (c *Config) adminFaults(f *faultList) {
	if c.Admin.Addr == "" && destinations.CheckListen(c.HTTP.Addr) == nil {
		if _, err := adminAddr(c.HTTP.Addr); err != nil {
			f.addf("admin.addr: missing, and %w; give an address such as 127.0.0.1:8081, or off", err)
		}
	}
	clients := map[string]string{}
	for i, k := range c.HTTP.Keys {
		for j, d := range k.SHA256 {
			clients[strings.ToLower(d)] = fmt.Sprintf("http.keys[%d].sha256[%d]", i, j)
		}
	}
	for i, t := range c.Admin.Tokens {
		for j, d := range t.SHA256 {
			if at, ok := clients[strings.ToLower(d)]; ok && d != "" {
				f.addf("admin.tokens[%d].sha256[%d]: is the same digest as %s, and a client must not steer the server; make a token of its own", i, j, at)
			}
		}
	}
}
