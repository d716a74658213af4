package webhook

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// An address that the guard refuses at each attempt is warned of, however it is written; a name is not looked up.
func TestWarnAddress(t *testing.T) {
	for host, refused := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1.": true, "127.1": true, "127.0.1": true, "2130706433": true, "0x7f000001": true, "0x7f.1": true, "017700000001": true, "0177.0.0.01": true,
		"10.1.2.3": true, "192.168.0.1": true, "192.168.1": true, "172.16.0.9": true, "169.254.169.254": true, "0.0.0.0": true, "0": true, "100.64.0.1": true, "255.255.255.255": true, "224.0.0.1": true,
		"[::1]": true, "[::]": true, "[0:0:0:0:0:0:0:1]": true, "[fe80::1]": true, "[fe80::1%25eth0]": true, "[fd00::1]": true, "[::ffff:127.0.0.1]": true, "[::ffff:7f00:1]": true, "[64:ff9b::7f00:1]": true,
		"localhost": true, "LocalHost": true, "localhost.": true, "a.localhost": true, "localhost.localdomain": true, "１２７.0.0.1": true, "127。0。0。1": true, "ⓛocalhost": true,
		"8.8.8.8": false, "134744072": false, "0x08080808": false, "[2606:4700::1111]": false,
		"example.com": false, "localhost.example.com": false, "notlocalhost": false, "internal": false, "127.0.0.1.example.com": false, "127.0.0.1.nip.io": false, "256.0.0.1": false, "1.2.3.4.5": false,
		"0x7f000001x": false, "1_0.0.0.1": false, "4294967296": false, "kubernetes.default.svc": false,
	} {
		for _, form := range []string{"http://" + host + "/x", "https://" + host + ":8443"} {
			err := Config{URL: form}.Warn()
			if (err != nil) != refused || err != nil && (!strings.HasPrefix(err.Error(), "url: ") || !strings.Contains(err.Error(), "allow_private: true")) {
				t.Errorf("%s: %v", form, err)
			}
			if err := (Config{URL: form, AllowPrivate: true}).Warn(); err != nil {
				t.Errorf("%s with allow_private: %v", form, err)
			}
		}
	}
	err := Config{URL: "http://127.0.0.1", CAFile: "/no/such.pem"}.Precheck()
	if err == nil || !strings.Contains(err.Error(), "ca_file: cannot be read: no such file") {
		t.Errorf("a missing file: %v", err)
	}
}

// Nothing that url.Parse lets through makes Warn panic.
func TestWarnAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-fx.]{0,20}`), rapid.StringMatching(`\[[0-9a-f:.%]{0,30}\]`)).Draw(t, "host")
		_ = Config{URL: "http://" + host + "/"}.Warn()
		if u, err := url.Parse("http://" + host + "/"); err == nil && u.Hostname() == "127.0.0.1" && !guarded(u.Hostname()) {
			t.Error("127.0.0.1 is not guarded")
		}
	})
}
