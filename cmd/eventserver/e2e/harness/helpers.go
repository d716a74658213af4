package harness

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// WaitFor polls: processes and receivers give no other signal. It reports
// whether the condition came true in time.
func WaitFor(t *testing.T, within time.Duration, what string, ok func() bool) bool {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Errorf("after %v there is still no end to the wait for %s", within, what)
			return false
		}
		<-time.After(10 * time.Millisecond)
	}
	return true
}

// FreeAddr is an address that nobody listens on at the moment, nor on the port
// after it, where the admin API goes.
func FreeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 { // connections that have ended keep their ports for a minute
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		next, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		_ = l.Close()
		if err == nil {
			_ = next.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no two free ports in a row")
	return ""
}

// Write stores a file in dir, and makes the directories of its name.
func Write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
