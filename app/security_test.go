package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/app"
	"eventserver/app/config"
	"eventserver/destinations"
)

// certificate makes a self-signed one for 127.0.0.1 and its CA file.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca
}

func TestTLSAndSASL(t *testing.T) {
	cert, ca := certificate(t)
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond),
				kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}),
				kfake.EnableSASL(), kfake.Superuser(mechanism, "es", "canary-password"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			broker := func(password, caFile string) string {
				return fmt.Sprintf("{kind: kafka, brokers: [%q], partitions: 2, tls: {enabled: true, ca_file: %q}, sasl: {mechanism: %s, user: es, password: %q}}",
					cluster.ListenAddrs()[0], caFile, mechanism, password)
			}
			p := newProbe("d")
			url, stop := start(t, broker("canary-password", ca), p)
			if code, body := post(t, url+"/v1/events", `{"id":"e1"}`); code != http.StatusAccepted {
				t.Fatalf("%d %s", code, body)
			}
			p.await(t, 1)
			stop()

			for name, bad := range map[string]string{"wrong password": broker("other-canary", ca), "no CA": broker("canary-password", "/nonexistent/ca.pem")} {
				err := tryStart(t, bad)
				if err == nil || strings.Contains(err.Error(), "canary") {
					t.Errorf("%s: started, or told the password: %v", name, err)
				}
			}
		})
	}
}

// tryStart builds an app that is expected to fail.
func tryStart(t *testing.T, broker string) error {
	t.Helper()
	kind := app.NewKind("probe", func(id string, _ struct{}) (destinations.Destination, error) { return newProbe(id), nil })
	cfg, err := config.Parse("test.yaml", []byte("broker: "+broker+"\ndestinations: [{id: d, kind: probe}]\n"), config.Checks{Kinds: map[string]config.KindCheck{"probe": config.CheckInto[struct{}]}, Here: true})
	if err != nil {
		return err
	}
	a, err := app.New(t.Context(), cfg, app.Options{Kinds: []app.Kind{kind}})
	if err == nil {
		t.Cleanup(func() { _ = a.Close() })
	}
	return err
}
