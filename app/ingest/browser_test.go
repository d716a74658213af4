package ingest_test

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"testing"

	"eventserver/app/access"
	"eventserver/app/ingest"
)

// A page of the web could post events to a server that listens on 127.0.0.1
// without keys: a Blob without a type needs no preflight, and a name that is
// resolved to 127.0.0.1 afterwards makes the page one of the same origin.
func TestPagesOfTheWebPostNothing(t *testing.T) {
	type headers = map[string]string
	secret := sha256.Sum256([]byte("k"))
	keys := []access.Key{{Name: "shop", SHA256: [][sha256.Size]byte{secret}}}
	const evil, rebound = "https://evil.example", "rebound.evil.example:8080"
	for name, c := range map[string]struct {
		header                headers
		local, exposed, keyed int // answers of the three servers
	}{
		"a program":                     {headers{}, 202, 202, 202},
		"a program without a type":      {headers{"Content-Type": ""}, 202, 202, 202},
		"node's fetch":                  {headers{"Content-Type": "", "Sec-Fetch-Mode": "cors"}, 202, 202, 202},
		"a program, a name of the net":  {headers{"Host": "events.example:8080"}, 403, 202, 202},
		"a program, a container's name": {headers{"Host": "eventserver:8080"}, 202, 202, 202},
		"from a container":              {headers{"Host": "host.docker.internal:8080"}, 202, 202, 202},
		"cross site, no type":           {headers{"Content-Type": "", "Origin": evil, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403, 403, 202},
		"cross site, JSON":              {headers{"Origin": evil, "Sec-Fetch-Site": "cross-site"}, 403, 403, 202},
		"cross site, an old browser":    {headers{"Origin": evil}, 403, 403, 202},
		"a sandboxed page":              {headers{"Origin": "null"}, 403, 403, 202},
		"another port":                  {headers{"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, 403, 403, 202},
		"cross site, no Origin":         {headers{"Sec-Fetch-Site": "cross-site"}, 403, 403, 202},
		"a name rebound":                {headers{"Host": rebound, "Origin": "http://" + rebound, "Sec-Fetch-Site": "same-origin"}, 403, 403, 202},
		"a name rebound, old browser":   {headers{"Host": rebound, "Origin": "http://" + rebound}, 403, 403, 202},
		"a name rebound, no Origin":     {headers{"Host": rebound, "Sec-Fetch-Site": "same-origin"}, 403, 403, 202},
		"a short name rebound":          {headers{"Host": "evil:8080", "Origin": "http://evil:8080"}, 403, 403, 202},
		"its own page":                  {headers{"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}, 202, 202, 202},
		"its own page, no type":         {headers{"Content-Type": "", "Host": "localhost:8080", "Origin": "http://localhost:8080"}, 415, 415, 202},
		"its own page, text":            {headers{"Content-Type": "text/plain", "Host": "localhost:8080", "Origin": "http://localhost:8080"}, 415, 415, 415},
		"its own page through a proxy":  {headers{"Host": "shop.example", "Origin": "https://shop.example", "Sec-Fetch-Site": "same-origin"}, 403, 202, 202},
	} {
		t.Run(name, func(t *testing.T) {
			for server, s := range map[string]struct {
				cfg  ingest.Config
				want int
			}{
				"local":   {ingest.Config{}, c.local},
				"exposed": {ingest.Config{Addr: "0.0.0.0:0"}, c.exposed},
				"keyed":   {ingest.Config{Keys: keys}, c.keyed},
			} {
				f := open(t, s.cfg, ack)
				u, err := url.Parse(f.url)
				if err != nil {
					t.Fatal(err)
				}
				f.url = "http://127.0.0.1:" + u.Port()
				h := headers{"Authorization": "Bearer k"}
				for k, v := range c.header {
					h[k] = v
				}
				for path, r := range map[string]request{
					ingest.PathEvents:  {body: `{"id":"e"}`, header: h},
					ingest.PathPublish: {path: ingest.PathPublish, body: `{"userId":"u","payload":"p"}`, header: h},
				} {
					want := s.want
					if want == http.StatusAccepted && path == ingest.PathPublish {
						want = http.StatusOK
					}
					if resp, body := f.do(t, r); resp.StatusCode != want {
						t.Errorf("%s, %s: %d %s, want %d", server, path, resp.StatusCode, body, want)
					}
				}
			}
		})
	}
}

// A rebound name is of the page's own origin, which may read every answer.
func TestPagesOfTheWebReadNothing(t *testing.T) {
	secret := sha256.Sum256([]byte("k"))
	local, exposed := open(t, ingest.Config{}, ack), open(t, ingest.Config{Addr: "0.0.0.0:0"}, ack)
	keyed := open(t, ingest.Config{Keys: []access.Key{{Name: "shop", SHA256: [][sha256.Size]byte{secret}}}}, ack)
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/v1/events", "/elsewhere"} {
		for host, private := range map[string]bool{"rebound.evil.example": false, "127.0.0.1.nip.io:8080": false, "localhost:8080": true, "eventserver": true} {
			r := request{method: http.MethodGet, path: path, header: map[string]string{"Host": host}}
			if resp, _ := local.do(t, r); (resp.StatusCode != http.StatusForbidden) != private {
				t.Errorf("GET %s with Host %s: %d", path, host, resp.StatusCode)
			}
			if resp, _ := exposed.do(t, r); resp.StatusCode == http.StatusForbidden {
				t.Errorf("exposed: GET %s with Host %s: %d", path, host, resp.StatusCode)
			}
			if resp, _ := keyed.do(t, r); (resp.StatusCode == http.StatusForbidden) != (path == "/metrics" && !private) {
				t.Errorf("with keys: GET %s with Host %s: %d", path, host, resp.StatusCode)
			}
		}
	}
}
