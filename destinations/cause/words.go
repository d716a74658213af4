package cause

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
)

// Words says why there was no connection, or no whole exchange on it, with the
// address. ok: false, and the error's own text, for what is no fault of the network.
// Of several errors, such as one for each broker, it says each.
func Words(err error) (text string, ok bool) {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return words(err)
	}
	var texts []string
	for _, e := range several.Unwrap() {
		text, ok := Words(e)
		if !ok {
			return err.Error(), false
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; "), true
}

func words(err error) (string, bool) {
	if text, ok := ofName(err); ok {
		return text, true
	}
	if text, ok := ofTLS(err); ok {
		return text, true
	}
	var op *net.OpError
	at := "the receiver"
	for e := err; errors.As(e, &op); e = op.Err { // the innermost one: a proxy's has the dial's inside
		if op.Addr != nil {
			at = op.Addr.String()
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused by " + at, true
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset by " + at, true
	case errors.Is(err, syscall.EPIPE):
		return "connection closed by " + at, true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to " + at, true
	case op != nil && op.Timeout():
		return "no answer from " + at + " in time", true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the answer was whole", true
	}
	return err.Error(), false
}

func ofName(err error) (string, bool) {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return "", false
	case dns.IsNotFound:
		return "no host has the name " + dns.Name, true
	case dns.IsTimeout:
		return "the name server gives no answer for " + dns.Name, true
	}
	return "the name server cannot look up " + dns.Name, true
}

func ofTLS(err error) (string, bool) {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "certificate signed by unknown authority; give the authority's file in ca_file", true
	case errors.As(err, &host):
		return "the certificate is not for " + host.Host, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired, or is not valid yet", true
	case errors.As(err, &invalid):
		return "the certificate is not valid for a server", true
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, new(tls.RecordHeaderError)):
		return "the answer is not TLS; address a port with TLS, or send without", true
	case errors.As(err, &op) && op.Op == "remote error": // crypto/tls' word for an alert
		return "the receiver ended the TLS handshake: " + strings.TrimPrefix(op.Err.Error(), "tls: "), true
	}
	return "", false
}

// named is a failed lookup in our words.
type named struct {
	error
	text string
}

func (n named) Error() string { return n.text }
func (n named) Unwrap() error { return n.error }
