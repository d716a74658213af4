package explain

import (
	"context"
	"slices"
	"strings"
)

// owner names who works on a partition, where that is somebody else.
func (c *inquiry) owner(ctx context.Context, group, topic string, partition int32, v *DestinationExplanation) error {
	members, err := c.x.cfg.Groups.Members(ctx, group)
	if err != nil {
		return err
	}
	for _, m := range members {
		if !slices.Contains(m.Partitions[topic], partition) {
			continue
		}
		if c.x.cfg.Live != nil && (c.x.cfg.Instance == "" || m.Instance == "" || strings.HasPrefix(m.Instance, c.x.cfg.Instance+".")) {
			return nil // most likely this process
		}
		v.Owner = m.Client
		if m.Instance != "" {
			v.Owner = m.Instance
			if i := strings.Index(m.Instance, "."+group); i > 0 { // it has one for each group
				v.Owner = m.Instance[:i]
			}
		}
		if m.Host != "" {
			v.Owner += " at " + m.Host
		}
		v.Why += "; instance " + v.Owner + " works on it: its admin API knows more"
		return nil
	}
	v.Why += "; no process works on its partition now"
	if v.Do == "" {
		v.Do = "see that eventserver runs with this destination, and that the broker is well"
	}
	return nil
}
