package cause

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
)

// "dial tcp 127.0.0.1:1: connect: connection refused" and "lookup crm on
// 10.0.0.2:53: no such host" stood in logs as the libraries say them.
func TestWords(t *testing.T) {
	at := func(port int) *net.TCPAddr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port} }
	dial := func(port int, err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: at(port), Err: os.NewSyscallError("connect", err)}
	}
	name := func(e net.DNSError) error {
		e.Name, e.Server = "crm", "10.0.0.2:53"
		return &net.OpError{Op: "dial", Net: "tcp", Err: &e}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{dial(1, syscall.ECONNREFUSED), "connection refused by 10.0.0.1:1"},
		{dial(1, syscall.EHOSTUNREACH), "no route to 10.0.0.1:1"},
		{dial(1, syscall.ETIMEDOUT), "no answer from 10.0.0.1:1 in time"},
		{dial(1, os.ErrDeadlineExceeded), "no answer from 10.0.0.1:1 in time"},
		{&net.OpError{Op: "proxyconnect", Net: "tcp", Err: dial(3128, syscall.ECONNREFUSED)}, "connection refused by 10.0.0.1:3128"},
		{&net.OpError{Op: "read", Net: "tcp", Addr: at(2), Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "connection reset by 10.0.0.1:2"},
		{&net.OpError{Op: "write", Net: "tcp", Addr: at(2), Err: os.NewSyscallError("write", syscall.EPIPE)}, "connection closed by 10.0.0.1:2"},
		{io.ErrUnexpectedEOF, "connection closed before the answer was whole"},
		{name(net.DNSError{Err: "no such host", IsNotFound: true}), "no host has the name crm"},
		{name(net.DNSError{Err: "i/o timeout", IsTimeout: true}), "the name server gives no answer for crm"},
		{name(net.DNSError{Err: "server misbehaving"}), "the name server cannot look up crm"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "certificate signed by unknown authority; give the authority's file in ca_file"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "crm"}}, "the certificate is not for crm"},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, "the certificate has expired, or is not valid yet"},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}}, "the certificate is not valid for a server"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "the answer is not TLS; address a port with TLS, or send without"},
		{http.ErrSchemeMismatch, "the answer is not TLS; address a port with TLS, or send without"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(116)}, "the receiver ended the TLS handshake: certificate required"},
		{errors.Join(dial(1, syscall.ECONNREFUSED), dial(2, syscall.ECONNREFUSED), dial(1, syscall.ECONNREFUSED)), "connection refused by 10.0.0.1:1; connection refused by 10.0.0.1:2"},
	} {
		if got, ok := Words(fmt.Errorf("ask: %w", c.err)); got != c.want || !ok {
			t.Errorf("%v: %q, %v; want %q", c.err, got, ok, c.want)
		}
	}
	for _, err := range []error{errors.New("no network"), errors.Join(io.EOF, errors.New("no network"))} {
		if got, ok := Words(err); got != err.Error() || ok {
			t.Errorf("%v: %q, %v", err, got, ok)
		}
	}
}
