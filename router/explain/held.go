package explain

import (
	"eventserver/router"
)

// heldTransform tells of an event that waits for a transformation of a destination that is
// held.
func (c *inquiry) heldTransform(e *evidence, status router.Status, v *DestinationExplanation) {
	v.State, v.Why = StateHeld, "the destination is held"
	if status.Hold.Stage == v.Stage { // else the hold of its deliveries is shown, or it has just ended
		v.Why = status.Hold.Words(c.out.At)
	}
	v.Do = "fix its schema, filter or transformation in the configuration, and: eventserver reload; " + resume(e.id)
}

// resume is what may be done about a hold, beside mending its cause.
func resume(id string) string {
	return "it is tried again by itself, now with: eventserver resume " + id +
		"; if the events are at fault, have them go to the poison queue: eventserver resume " + id + " --accept-failures"
}
