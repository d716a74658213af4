package destinations

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// TLSFiles are the PEM files that a configuration names; "" for none.
type TLSFiles struct{ CA, Cert, Key string }

// Load reads the files into t. The error is errors.Join of one "ca_file: what is
// wrong", or cert_file or key_file, for each fault.
func (f TLSFiles) Load(t *tls.Config) error {
	var errs []error
	if f.CA != "" {
		t.RootCAs = x509.NewCertPool()
		if text, err := readPEM(f.CA); err != nil {
			errs = append(errs, fmt.Errorf("ca_file: %w", err))
		} else if !t.RootCAs.AppendCertsFromPEM(text) {
			errs = append(errs, errors.New("ca_file: holds no certificate in PEM form; give the file that begins with -----BEGIN CERTIFICATE-----"))
		}
	}
	var cert, key []byte
	read := func(name, path string, into *[]byte) {
		text, err := readPEM(path)
		if err == nil && name == "cert_file" && !holdsCertificate(text) {
			err = errors.New("holds no certificate in PEM form; give the file that begins with -----BEGIN CERTIFICATE-----")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			return
		}
		*into = text
	}
	if f.Cert != "" {
		read("cert_file", f.Cert, &cert)
	}
	if f.Key != "" {
		read("key_file", f.Key, &key)
	}
	if cert == nil || key == nil { // that both have to be given is for the caller to say
		return errors.Join(errs...)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("key_file: is not the key of cert_file (%w); give the two files that belong together", err))...)
	}
	t.Certificates = []tls.Certificate{pair}
	return errors.Join(errs...)
}

func holdsCertificate(text []byte) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return true
		}
	}
	return false
}

// readPEM reads a file. The error does not hold its name, which stands in the configuration.
func readPEM(name string) ([]byte, error) {
	text, err := ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w; give the path of a file that this process may read", cause(err))
	}
	return text, nil
}

// cause leaves out the path, which stands in the configuration.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
