package main

import (
	"fmt"
	"io"
	"strings"

	"eventserver/app"
	"eventserver/app/config"
	"eventserver/router/plural"
)

// writeTopology prints the broker, topics, groups and destinations of a configuration.
// Secrets are hidden.
func writeTopology(w io.Writer, cfg *config.Config) error {
	var b strings.Builder
	where := ""
	switch cfg.Broker.Kind {
	case "embedded":
		where = " (" + cfg.Broker.Dir + ")"
	case "kafka":
		where = " (" + strings.Join(cfg.Broker.Brokers, ", ") + ")"
	case "memory":
		where = " (lost when the process ends)"
	}
	fmt.Fprintf(&b, "POST http://%s/v1/events\n", cfg.HTTP.Addr)
	if len(cfg.HTTP.Keys) == 0 {
		fmt.Fprintf(&b, "  no authentication: everyone who reaches the address may send\n")
	}
	fmt.Fprintf(&b, "broker %s%s, %s, ordering by %s\n", cfg.Broker.Kind, where, plural.Count(cfg.Broker.Partitions, "partition"), cfg.Ordering)
	topology := app.TopologyOf(cfg)
	fmt.Fprintf(&b, "topic %s\n", topology.EventsTopic)
	for i, d := range cfg.Destinations {
		names := topology.Destinations[i]
		types := "every type"
		if len(d.Types) > 0 {
			types = strings.Join(d.Types, ", ")
		}
		fmt.Fprintf(&b, "  -> destination %s (%s): %s\n", d.ID, d.Kind, types)
		for _, e := range [][2]string{{"filter", d.Filter}, {"transform", d.Transform}} {
			if e[1] != "" {
				fmt.Fprintf(&b, "     %s: %s\n", e[0], e[1])
			}
		}
		fmt.Fprintf(&b, "     group %s -> topic %s -> group %s, at most %d attempts at once, %s each\n",
			names.TransformGroup, names.Topic, names.DeliverGroup, d.Concurrency, d.Timeout)
		fmt.Fprintf(&b, "     retry %s to %s, %d attempts or %s, then topic %s\n",
			d.Retry.Initial, d.Retry.Max, d.Retry.Attempts, d.Retry.MaxAge, names.PoisonTopic)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
