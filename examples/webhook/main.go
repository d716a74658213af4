// Command webhook is a receiver of signed webhooks. It verifies each signature with
// the secret in ./webhook.secret, and prints the events that pass.
//
//	go run ./examples/webhook
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	secret, err := os.ReadFile("webhook.secret")
	if err != nil {
		log.Fatal(err)
	}
	h, err := receiver(strings.TrimSpace(string(secret)), os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:9101", Handler: h, ReadTimeout: 10 * time.Second}
	fmt.Println("waiting for webhooks on http://127.0.0.1:9101/")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// receiver answers 204 to a request with a valid signature, and 401 to any other.
func receiver(secret string, out io.Writer) (http.Handler, error) {
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := webhook.Verify(body, r.Header); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		// A delivery can come twice: remember this id, and skip a delivery that is done.
		_, _ = fmt.Fprintf(out, "verified %s: %s\n", r.Header.Get("Delivery-Id"), body)
		w.WriteHeader(http.StatusNoContent)
	}), nil
}
