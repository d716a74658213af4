package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Key is a secret of a client or an operator, known by its SHA-256 only. A
// second digest is the next secret during a rotation.
type Key struct {
	Name   string
	SHA256 [][sha256.Size]byte
}

// Find is the index of the key that one of the secrets opens; -1: none. Every
// digest is compared, so that the time tells nothing.
func Find(keys []Key, secrets ...string) int {
	found := -1
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		sum := sha256.Sum256([]byte(secret))
		for i, k := range keys {
			for _, want := range k.SHA256 {
				found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], want[:]), i, found)
			}
		}
	}
	return found
}

// Bearer is the secret of "Authorization: Bearer SECRET"; "": there is none.
func Bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// Secrets are the secrets that a request offers: a bearer's, or the user and the
// password of Basic authentication.
func Secrets(r *http.Request) []string {
	if user, password, ok := r.BasicAuth(); ok {
		return []string{user, password}
	}
	if secret := Bearer(r); secret != "" {
		return []string{secret}
	}
	return nil
}
