package attempt

import (
	"eventserver/router/routertest"
	"fmt"
	"testing"
	"testing/synctest"
)

// A reason is told once a minute, with how many there were meanwhile.
func TestPoisonQueueSaysLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &PoisonQueue{}
		said := func(reason string) string { before, ok := p.say(reason); return fmt.Sprint(ok, before) }
		for i, want := range []string{"true 0", "false 0", "false 0"} {
			if got := said("schema"); got != want {
				t.Errorf("%d: %s", i, got)
			}
		}
		if got := said("transform"); got != "true 0" {
			t.Errorf("another reason: %s", got)
		}
		routertest.Elapse(quiet)
		if got := said("schema"); got != "true 2" {
			t.Errorf("after a minute: %s", got)
		}
		if got := said("schema"); got != "false 0" {
			t.Errorf("and then: %s", got)
		}
	})
}
