package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A kind that takes no batches says so when the file is read, with the place.
func TestBatchIsAFaultOfOtherKinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	yaml := "destinations:\n  - {id: a, kind: file, path: ./a, batch: {max_events: 10}}\n  - {id: b, kind: log, batch: {max_events: 10}}\n  - {id: c, kind: log, batch: {max_events: 1}}\n  - {id: d, kind: log}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file, Options{})
	if err == nil || !strings.Contains(err.Error(), "c.yaml:3: destinations[1].batch: kind log takes no batches") ||
		!strings.Contains(err.Error(), "c.yaml:4: destinations[2].batch: kind log takes no batches") ||
		strings.Contains(err.Error(), "destinations[0]") || strings.Contains(err.Error(), "destinations[3]") {
		t.Errorf("got %v", err)
	}
}
