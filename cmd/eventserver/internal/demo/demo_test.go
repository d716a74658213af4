package demo_test

import (
	"testing"
	"time"

	"eventserver/cmd/eventserver/internal/demo"
)

func TestDemoKeepsThePromises(t *testing.T) {
	v, err := demo.Run(t.Context(), demo.Config{Users: 5, Events: 10, Down: 300 * time.Millisecond, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if want := "accepted 50, delivered 200, lost 0, duplicates 0, order breaks 0"; v.String() != want {
		t.Errorf("verdict: %v, want %v", v, want)
	}
}
