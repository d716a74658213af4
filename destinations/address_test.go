package destinations

import (
	"net/url"
	"strings"
	"testing"
)

// Every address of a configuration is judged here: a port of 70000 was found
// wrong at the first attempt only.
func TestAddresses(t *testing.T) {
	long := strings.Repeat("a", 64)
	const all, dial, listen, none = "listen dial", "dial", "listen", ""
	for addr, want := range map[string]string{
		"127.0.0.1:80": all, "[::1]:1": all, "[fe80::1%eth0]:80": all, "localhost:65535": all, "kafka-1.example.com:9092": all, "my_service:80": all, "example.com.:80": all, "bücher.example:80": all,
		":80": listen, ":0": listen, "127.0.0.1:0": listen, "0.0.0.0:80": all, "[::]:80": all, "10.example:80": all, "0x7f:80": none,
		"": none, "localhost": none, "localhost:": none, ":": none, "80": none, "127.0.0.1:65536": none, "127.0.0.1:70000": none, "127.0.0.1:99999999999999999999": none,
		"127.0.0.1:-1": none, "127.0.0.1:+80": none, "127.0.0.1:080": none, "127.0.0.1:http": none, "127.0.0.1:8 0": none, "127.0.0.1: 80": none, "127.0.0.1:80 ": none, "127.0.0.1:80/": none, "127.0.0.1:８０": none,
		"::1:80": none, "[::1]": none, "[::1:80": none, "[127.0.0.1]:80": none, "[localhost]:80": none, "[]:80": none, "fe80::1%eth0:80": none, "[::1]x:80": none, "[:::1]:80": none,
		"256.0.0.1:80": none, "1.2.3:80": none, "1.2.3.4.5:80": none, "a b:80": none, "a/b:80": none, "user@host:80": none, "http://host:80": none, "-a:80": none, "a-:80": none, "a..b:80": none, ".:80": none, long + ":80": none,
	} {
		got := strings.TrimSpace(map[bool]string{true: "listen"}[CheckListen(addr) == nil] + " " + map[bool]string{true: "dial"}[CheckDial(addr) == nil])
		if got != want {
			t.Errorf("%q: %q, want %q (%v, %v)", addr, got, want, CheckListen(addr), CheckDial(addr))
		}
	}
	for s, want := range map[string]bool{
		"http://a": true, "http://a:1": true, "http://a:65535/x": true, "http://[::1]:80": true, "http://[fe80::1%25eth0]": true, "http://[::1]": true,
		"http://a:65536": false, "http://a:70000/x?y": false, "http://a:0": false, "http://a:": false, "http://a:080": false, "http://:80": false, "http://": false, "http://256.1.1.1": false, "http://a_b..c": false, "http://a,b": false,
		"http://999999999999999999999:80": false, "http://a:99999999999999999999": false,
	} {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckURLHost(u); (err == nil) != want {
			t.Errorf("%s: %v", s, err)
		}
	}
}
