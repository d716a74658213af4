package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"eventserver/cmd/eventserver/internal/bench"
	"eventserver/cmd/eventserver/internal/bench/byhand"
)

func benchCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "by-hand" { // what bench starts for --by-hand
		return benchByHand(ctx, args[1:])
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cfg := bench.Config{Program: program, Out: stdout}
	var against, brokers, kind, orderings, latencies, file string
	var partitions int
	var byHand bool
	if _, err := parse("bench", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&kind, "broker", "embedded", "embedded, memory or kafka")
		fs.StringVar(&brokers, "brokers", "127.0.0.1:9092", "with kafka: host:port,...")
		fs.IntVar(&partitions, "partitions", 8, "of each topic")
		fs.StringVar(&orderings, "ordering", "key", "key, partition (the baseline: watermill-kafka's own subscriber), or key,partition to compare them in turn")
		fs.StringVar(&latencies, "latency", "0s", "how long receivers take; a list, such as 0s,20ms,200ms")
		fs.StringVar(&against, "against", "", "paths of other eventserver programs, such as the last release: PATH,...; each runs in turn with this one and is compared with it")
		fs.BoolVar(&byHand, "by-hand", false, "also run the program by hand in turn, the least that keeps the promises (package byhand), and compare with it")
		fs.IntVar(&cfg.Pairs, "pairs", 1, "runs of each, taken in turn")
		fs.IntVar(&cfg.Users, "users", 500, "how many users post")
		fs.IntVar(&cfg.Connections, "connections", 64, "how many connections they share")
		fs.IntVar(&cfg.Size, "size", 200, "bytes of an event")
		fs.IntVar(&cfg.Batch, "batch", 1, "events in a posted request")
		fs.IntVar(&cfg.DeliverBatch, "deliver-batch", 1, "most events in a webhook request")
		fs.Float64Var(&cfg.Rate, "rate", 0, "events a second in all; 0: as fast as the answers come")
		fs.IntVar(&cfg.Destinations, "destinations", 2, "webhook destinations")
		fs.IntVar(&cfg.Concurrency, "concurrency", 512, "attempts at once, of each destination")
		fs.BoolVar(&cfg.Schemas, "schemas", false, "hold every event against a schema, at ingest and for each destination")
		fs.Float64Var(&cfg.Failing, "failing", 0, "share of users whose deliveries always fail, such as 0.01; a run without them is compared")
		fs.IntVar(&cfg.Dead, "dead", 0, "more destinations, which refuse connections; a run without them is compared")
		fs.IntVar(&cfg.Hanging, "hanging", 0, "more destinations, which accept connections and never answer; a run without them is compared")
		fs.IntVar(&cfg.Fill, "fill", 0, "events accepted before the warm-up, as fast as the answers come")
		fs.IntVar(&cfg.Backlog, "backlog", 10_000, "most events accepted and not yet delivered")
		fs.DurationVar(&cfg.Warmup, "warmup", 3*time.Second, "before the clock starts")
		fs.DurationVar(&cfg.Duration, "duration", 10*time.Second, "measured")
		fs.DurationVar(&cfg.Drain, "drain", time.Minute, "longest wait for the rest")
		fs.IntVar(&cfg.Undelivered, "undelivered", 0, "measure what a start takes instead, with so many events in the directory whose destinations do not answer")
		fs.IntVar(&cfg.Starts, "starts", 5, "with --undelivered: after a stop, and as many after kill -9")
		fs.StringVar(&cfg.Profile, "profile", "", "directory for the CPU and heap profiles of each program; made if needed")
		fs.StringVar(&file, "json", "", "file for the result in JSON")
	}); err != nil {
		return err
	}
	cfg.Orderings = strings.Split(orderings, ",")
	if against != "" {
		cfg.Against = strings.Split(against, ",")
		for _, p := range cfg.Against {
			if _, err := exec.LookPath(p); err != nil {
				return misuse("--against: %w", err)
			}
		}
	}
	for s := range strings.SplitSeq(latencies, ",") {
		d, err := time.ParseDuration(s)
		if err != nil {
			return misuse("--latency: %w", err)
		}
		cfg.Latencies = append(cfg.Latencies, d)
	}
	switch kind {
	case "embedded":
		cfg.Broker = fmt.Sprintf("{kind: embedded, dir: DIR, partitions: %d}", partitions)
		cfg.ByHand = []string{"--dir", "DIR"}
	case "memory":
		if cfg.Undelivered > 0 {
			return misuse("--undelivered: --broker memory keeps nothing over a start")
		}
		if byHand {
			return misuse("--by-hand: there is none for --broker memory, only for embedded and kafka")
		}
		cfg.Broker = fmt.Sprintf("{kind: memory, partitions: %d}", partitions)
	case "kafka":
		list, err := json.Marshal(strings.Split(brokers, ","))
		if err != nil {
			return err
		}
		cfg.Broker = fmt.Sprintf("{kind: kafka, brokers: %s, partitions: %d, topic_prefix: PREFIX, instance_id: bench}", list, partitions)
		cfg.ByHand = []string{"--brokers", brokers, "--partitions", strconv.Itoa(partitions), "--prefix", "PREFIX"}
	default:
		return misuse("--broker: %q is not embedded, memory or kafka", kind)
	}
	if !byHand {
		cfg.ByHand = nil
	}
	var out io.WriteCloser
	if file != "" { // first, because a run takes minutes
		if out, err = os.Create(file); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	report, err := bench.Run(ctx, cfg)
	if out != nil && report != nil {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = errors.Join(err, enc.Encode(report), out.Close())
	}
	if err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("a promise was broken")
	}
	return nil
}

// benchByHand is the program by hand. It is no command of its own: it is for bench.
func benchByHand(ctx context.Context, args []string) (err error) {
	var cfg byhand.Config
	var brokers, to string
	var prof profiles
	if _, err := parse("bench by-hand", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&cfg.Addr, "addr", "127.0.0.1:8080", "address that accepts events")
		fs.StringVar(&cfg.Dir, "dir", "", "directory of the events")
		fs.StringVar(&brokers, "brokers", "", "host:port,... of Kafka, instead of a directory")
		fs.StringVar(&cfg.Prefix, "prefix", "", "of the topic and the group")
		fs.IntVar(&cfg.Partitions, "partitions", 8, "of the topic")
		fs.StringVar(&to, "to", "", "URL,... of the receivers")
		fs.IntVar(&cfg.Concurrency, "concurrency", 512, "attempts at once, to each receiver")
		fs.IntVar(&cfg.Batch, "deliver-batch", 1, "most events in a request")
		prof.flags(fs)
	}); err != nil {
		return err
	}
	if brokers != "" {
		cfg.Brokers = strings.Split(brokers, ",")
	}
	if to != "" {
		cfg.URLs = strings.Split(to, ",")
	}
	if err := cfg.Check(); err != nil {
		return misuse("%w", err)
	}
	if err := prof.start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, prof.stop()) }()
	return byhand.Run(ctx, cfg)
}
