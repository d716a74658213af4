package expr

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the same zones on every host, also in an image without them

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// fieldIn gives the function that reads a field of a timestamp, such as
// getHours, in a zone that is written in the expression.
func fieldIn(function, zone string) (func(types.Timestamp) ref.Val, error) {
	if !strings.Contains(zone, ":") && len(zone) <= maxZone {
		if loc, err := time.LoadLocation(zone); err == nil {
			return func(t types.Timestamp) ref.Val {
				return types.Timestamp{Time: t.In(loc)}.Receive(function, "", nil)
			}, nil
		}
	} else if len(zone) <= maxZone {
		offset := []ref.Val{types.String(zone)} // read by CEL, without a file
		if !types.IsError(types.Timestamp{Time: time.Unix(0, 0)}.Receive(function, "", offset)) {
			return func(t types.Timestamp) ref.Val { return t.Receive(function, "", offset) }, nil
		}
	}
	return nil, fmt.Errorf("%.80q is no time zone; write a name such as 'Europe/Berlin' or an offset such as '+01:00'", zone)
}
