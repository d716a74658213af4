package demo_test

import (
	"testing"
	"time"

	"eventserver/app/demo"
)

func TestDemoKeepsThePromises(t *testing.T) {
	v, err := demo.Run(t.Context(), demo.Config{Users: 5, Events: 10, Down: 300 * time.Millisecond, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if want := (demo.Verdict{Accepted: 50, Delivered: 200}); v != want {
		t.Errorf("verdict: %v, want %v", v, want)
	}
}
