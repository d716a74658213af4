package webhook

import (
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"eventserver/destinations/destinationtest"
)

// Every address is one that an attacker would like us to dial. A listener that
// counts connections would prove only what this machine can reach, so the
// verdict of the guard is looked at: it comes before the connect call.
func TestGuard(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"100.64.0.1", "169.254.169.254", "169.254.1.1", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
		"[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:10.0.0.1]", "[::127.0.0.1]",
		"[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]",
		"[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001::1]", "[2001:db8::1]", "[fe80::1%25lo]",
	} {
		d, err := New("shop", Config{URL: "http://" + host + ":" + port + "/x"})
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		err = d.Deliver(t.Context(), delivery("e"))
		if got := destinationtest.Verdict(err); got != "unavailable" || !strings.Contains(err.Error(), "allow_private: true") {
			t.Errorf("%s: %s: %v", host, got, err)
		}
		_ = d.Close()
	}
}

// A refused connection and an unknown name are said without the library's words.
func TestWhyThereIsNoConnection(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for url, want := range map[string]string{
		closed.URL:                  "webhook connection failed: connection refused by " + strings.TrimPrefix(closed.URL, "http://"),
		"http://nobody.invalid:1/x": "webhook connection failed: ",
	} {
		d, err := New("shop", Config{URL: url, AllowPrivate: true})
		if err != nil {
			t.Fatal(err)
		}
		err = d.Deliver(t.Context(), delivery("e"))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "dial") || strings.Contains(err.Error(), "lookup ") {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
