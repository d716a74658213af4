//go:build unix

package destinations

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair writes a certificate and its key.
func pair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLSFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, "a")
	_, other := pair(t, dir, "b")
	junk, fifo, huge := filepath.Join(dir, "junk"), filepath.Join(dir, "fifo"), filepath.Join(dir, "huge")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(huge, make([]byte, MaxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files TLSFiles
		want  []string
	}{
		"none":         {},
		"all":          {files: TLSFiles{cert, cert, key}},
		"no authority": {TLSFiles{CA: junk}, []string{"ca_file: holds no certificate in PEM form"}},
		"key as one":   {TLSFiles{CA: key}, []string{"ca_file: holds no certificate in PEM form"}},
		"missing":      {TLSFiles{dir + "/x", dir + "/y", dir + "/z"}, []string{"ca_file: cannot be read: no such file", "cert_file: cannot be read: no such file", "key_file: cannot be read: no such file"}},
		"a directory":  {TLSFiles{CA: dir}, []string{"ca_file: cannot be read: is not a regular file"}},
		"a pipe":       {TLSFiles{CA: fifo, Cert: fifo}, []string{"ca_file: cannot be read: is not a regular file", "cert_file: cannot be read: is not a regular file"}},
		"too large":    {TLSFiles{CA: huge}, []string{"ca_file: cannot be read: is larger than 4 MiB"}},
		"another key":  {TLSFiles{"", cert, other}, []string{"key_file: is not the key of cert_file"}},
		"swapped":      {TLSFiles{"", key, cert}, []string{"cert_file: holds no certificate in PEM form"}},
		"cert alone":   {TLSFiles{"", junk, ""}, []string{"cert_file: holds no certificate in PEM form"}},
		"no key":       {TLSFiles{"", cert, junk}, []string{"key_file: is not the key of cert_file"}},
	} {
		err := c.files.Load(&tls.Config{MinVersion: tls.VersionTLS12})
		lines := []string{}
		if err != nil {
			lines = strings.Split(err.Error(), "\n")
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(lines[i], want) || strings.Contains(lines[i], dir) {
				t.Errorf("%s: %s", name, lines[i])
			}
		}
	}
}

// What is found without a write: nothing is made by looking.
func TestCheckDirAndFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"loose": filepath.Join(dir, "gone"), "good": dir} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	sealed := filepath.Join(dir, "sealed")
	if err := os.Mkdir(sealed, 0o500); err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{
		dir: "", dir + "/a/b/c": "", dir + "/good/a": "", file: "is not a directory", file + "/a/b": "is not a directory", dir + "/loose": "is a link to what does not exist",
		dir + "/loose/a": "is a link to what does not exist",
	}
	files := map[string]string{
		file: "", dir + "/new": "", dir + "/a/b/new": "", dir: "is a directory", file + "/new": "is not a directory", "/dev/null": "is not a regular file",
	}
	if os.Getuid() != 0 { // nothing is sealed to root
		dirs[sealed], dirs[sealed+"/a"], files[sealed+"/new"] = "cannot be written to", "cannot be written to", "cannot be written to"
	}
	judge := func(path, want string, err error) {
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	for path, want := range dirs {
		judge(path, want, CheckDir(path))
	}
	for path, want := range files {
		judge(path, want, CheckFile(path))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("%v, %v", left, err)
	}
}
