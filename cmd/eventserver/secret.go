package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
)

// newSecretAnswer is what secret new --json prints.
type newSecretAnswer struct {
	For    string `json:"for"`
	Secret string `json:"secret"`
	SHA256 string `json:"sha256,omitempty"` // "": the server needs the secret itself
	Config string `json:"config"`           // lines for the configuration
}

// secretNew makes a secret of 32 random bytes and says what goes where.
func secretNew(_ context.Context, args []string, stdout, _ io.Writer) error {
	a := newSecretAnswer{}
	var name string
	var asJSON bool
	if _, err := parse("secret new", "[--for webhook|key|token] [flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&a.For, "for", "webhook", "webhook (signing secret), key (API key of a client) or token (of an operator)")
		fs.StringVar(&name, "name", "NAME", "name of the client or operator, for the configuration")
		jsonFlag(fs, &asJSON)
	}); err != nil {
		return err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	a.Secret = base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(a.Secret))
	digest := hex.EncodeToString(sum[:])
	holder := ""
	switch a.For {
	case "webhook":
		a.Secret = "whsec_" + base64.StdEncoding.EncodeToString(random)
		a.Config, holder = "secret: ${WEBHOOK_SECRET}", "the server, in the variable WEBHOOK_SECRET, or in a file that secret_file names; the receiver needs the same"
	case "key":
		a.SHA256 = digest
		a.Config, holder = fmt.Sprintf("http:\n  keys:\n  - {name: %q, sha256: [%s]}", name, digest), "the client, in "+keyVariable+" for eventserver send, or as Authorization: Bearer"
	case "token":
		a.SHA256 = digest
		a.Config, holder = fmt.Sprintf("admin:\n  tokens:\n  - {name: %q, role: read, sha256: [%s]} # or role: write", name, digest), "the operator, in "+tokenVariable
	default:
		return misuse("secret new: --for: %.80q is not webhook, key or token", a.For)
	}
	if asJSON {
		return printJSON(stdout, a)
	}
	_, err := fmt.Fprintf(stdout, "%s\n\nGive it to %s.\nIt is shown once. In the configuration:\n\n%s\n", a.Secret, holder, a.Config)
	return err
}
