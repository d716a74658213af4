package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/infra"
	"eventserver/infra/kafka"
)

// Config says where the records live.
type Config struct {
	// Dir holds the records. Empty: memory only, lost at Close (tests).
	Dir string
	// NoSync leaves writes to the operating system: a crash of the machine
	// can lose the last events; a crash of this process cannot.
	NoSync bool
	// TrimAge is how long a record stays after every group has done it.
	// Default 1 h. Records that some group has not done are never removed,
	// nor is the last record of a partition.
	TrimAge time.Duration
	// SegmentBytes is the size of a file of records. Trimming frees whole
	// files, so each partition may hold that much more than it needs; smaller
	// files are more files, and open ones where groups are behind. Default 8 MiB.
	SegmentBytes int
	// Kafka is the client's configuration; Brokers is filled in.
	Kafka kafka.Config
}

// Broker is an infra.Broker with the cluster in this process.
type Broker struct {
	*kafka.Broker
	cluster *kfake.Cluster
	log     *clusterLogger
	lock    *os.File
	journal *journal // nil: in memory
	trim    *trimmer

	addrFile string // "": in memory
	once     sync.Once
	err      error
}

var _ infra.Broker = (*Broker)(nil)

// commitRetention is a hundred years, in minutes. The cluster forgets the
// commits of a group that is away for longer; the default of a week would
// deliver everything again to a destination that was switched off for eight
// days, and would trim what it had not got.
const commitRetention = "52560000"

// New starts the cluster and connects to it.
func New(cfg Config) (*Broker, error) {
	if cfg.TrimAge == 0 {
		cfg.TrimAge = time.Hour
	}
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = 8 << 20
	}
	if cfg.TrimAge < 0 {
		return nil, errors.New("embedded: TrimAge is negative")
	}
	if cfg.SegmentBytes < 0 {
		return nil, errors.New("embedded: SegmentBytes is negative")
	}
	b := &Broker{}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.GroupMinSessionTimeout(100 * time.Millisecond),
		kfake.ClusterID("eventserver"),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":         strconv.Itoa(cfg.SegmentBytes),
			"offsets.retention.minutes": commitRetention,
		}),
	}
	if cfg.Dir != "" {
		lock, err := lockDir(cfg.Dir)
		if err != nil {
			return nil, err
		}
		b.lock = lock
		log := cfg.Kafka.Logger
		if log == nil {
			log = slog.New(slog.DiscardHandler)
		}
		if err := makePrivate(cfg.Dir, log); err != nil {
			return nil, errors.Join(fmt.Errorf("broker.dir: %w", err), b.unlock())
		}
		data := filepath.Join(cfg.Dir, "broker")
		opts = append(opts, kfake.DataDir(data))
		if !cfg.NoSync {
			opts = append(opts, kfake.SyncWrites())
			if err := syncAll(data); err != nil {
				return nil, errors.Join(fmt.Errorf("broker.dir: %w", err), b.unlock())
			}
		}
		// The members of the last run. They were in that process and are gone,
		// but until their sessions time out they would keep partitions.
		if err := os.Remove(filepath.Join(data, "session_state.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("broker.dir: %w", err), b.unlock())
		}
	}
	var err error
	if b.cluster, b.log, err = startOnPort(cfg, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("broker.dir: start in %q: %w", cfg.Dir, err), b.unlock())
	}
	var left []kafka.Commit
	if cfg.Dir != "" {
		if b.journal, left, err = openJournal(filepath.Join(cfg.Dir, "commits.journal"), cfg.Kafka.Logger); err != nil {
			return nil, errors.Join(fmt.Errorf("broker.dir: %w", err), b.closeCluster())
		}
		cfg.Kafka.Journal = b.journal.note
		if cfg.Kafka.CommitInterval == 0 {
			cfg.Kafka.CommitInterval = commitInterval
		}
	}
	cfg.Kafka.Brokers = b.cluster.ListenAddrs()
	cfg.Kafka.Retention = 0   // trimmed by what is done, never by age alone
	cfg.Kafka.Replication = 1 // there is one node
	if b.Broker, err = kafka.New(cfg.Kafka); err != nil {
		return nil, errors.Join(err, b.closeCluster())
	}
	if err := b.recover(left); err != nil {
		err = fmt.Errorf("broker.dir: %s is damaged: %w", cfg.Dir, err)
		return nil, errors.Join(err, b.Broker.Close(), b.closeCluster())
	}
	if cfg.Dir != "" {
		b.addrFile = filepath.Join(cfg.Dir, addrFile)
		if err := os.WriteFile(b.addrFile, []byte(strings.Join(b.Addrs(), ",")+"\n"), 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("broker.dir: %w", err), b.Broker.Close(), b.closeCluster())
		}
	}
	b.trim = newTrimmer(b.Broker, cfg.TrimAge)
	return b, nil
}

// commitInterval is the pace of commits that are synced, where a journal has
// them at once.
const commitInterval = 500 * time.Millisecond

// recover brings the groups to where the last run was.
func (b *Broker) recover(left []kafka.Commit) error {
	if err := b.Advance(left); err != nil {
		return err
	}
	if err := b.Rewind(); err != nil || b.journal == nil {
		return err
	}
	return b.journal.clear()
}

// addrFile holds the addresses of a broker that runs, or ran last: the lock tells
// which.
const addrFile = "broker.addr"

// startOnPort starts the cluster on the port of the last run, where programs
// beside the server look for it again, or on a new one when that is taken.
func startOnPort(cfg Config, opts []kfake.Opt) (*kfake.Cluster, *clusterLogger, error) {
	if port := lastPort(cfg.Dir); port > 0 {
		if c, log, err := startCluster(cfg.Kafka.Logger, append(slices.Clone(opts), kfake.Ports(port))); err == nil {
			return c, log, nil
		}
	}
	return startCluster(cfg.Kafka.Logger, opts)
}

// lastPort is 0 when there was none.
func lastPort(dir string) int {
	if dir == "" {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(dir, addrFile))
	if err != nil {
		return 0
	}
	_, port, err := net.SplitHostPort(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return 0
	}
	return n
}

// Running returns the addresses of the broker that another process runs on
// dir. The error wraps fs.ErrNotExist when none does.
func Running(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, addrFile))
	if err != nil {
		return nil, &notRunning{dir, err}
	}
	if lock, err := lockDir(dir); err == nil { // nobody holds it: the file is a killed server's
		return nil, errors.Join(&notRunning{dir, fs.ErrNotExist}, lock.Close())
	}
	return strings.Split(strings.TrimSpace(string(text)), ","), nil
}

// notRunning is the error of Running.
type notRunning struct {
	dir   string
	cause error
}

// Error implements error. That the file of addresses is not there is what the
// text says already.
func (n *notRunning) Error() string {
	text := "no server runs on " + n.dir
	var path *fs.PathError
	switch {
	case errors.Is(n.cause, fs.ErrNotExist):
	case errors.As(n.cause, &path):
		text += ": " + path.Err.Error()
	default:
		text += ": " + n.cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (n *notRunning) Unwrap() error { return n.cause }

// Addrs returns the loopback addresses where the cluster speaks Kafka's protocol.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// EnsureTopics implements infra.Topics.
func (b *Broker) EnsureTopics(ctx context.Context, topics ...infra.Topic) error {
	if err := b.Broker.EnsureTopics(ctx, topics...); err != nil {
		return err
	}
	b.trim.watch(topics)
	return nil
}

// Reset implements infra.Groups. The journal is told first: after a kill it
// must not know of more than the cluster does, and after a crash of the machine neither.
func (b *Broker) Reset(ctx context.Context, group, topic string, to map[int32]int64) error {
	members, err := b.Members(ctx, group)
	if err != nil {
		return err
	}
	if b.journal != nil && len(members) == 0 {
		for p, at := range to {
			b.journal.note(b.Commit(group, topic, p, at))
		}
		if err := b.journal.sync(); err != nil {
			return fmt.Errorf("broker.dir: %w", err)
		}
	}
	return b.Broker.Reset(ctx, group, topic, to)
}

// Close implements infra.Broker.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.trim.stop()
		b.err = b.Broker.Close()
		if b.err == nil && b.journal != nil {
			b.err = b.journal.finish()
		}
		b.err = errors.Join(b.err, b.closeCluster())
	})
	return b.err
}

func (b *Broker) closeCluster() error {
	b.cluster.Close()
	if b.journal == nil {
		return b.unlock()
	}
	return errors.Join(b.journal.close(), b.unlock())
}

func (b *Broker) unlock() error {
	if b.lock == nil {
		return nil
	}
	return b.lock.Close()
}

// DeleteGroups implements infra.Groups. The journal is told first: after a kill it
// would bring a deleted group back, which holds back trimming.
func (b *Broker) DeleteGroups(ctx context.Context, groups ...string) error {
	for _, g := range groups {
		members, err := b.Members(ctx, g)
		if err != nil {
			return err
		}
		if len(members) > 0 {
			return fmt.Errorf("delete group %s: %w", g, infra.ErrGroupBusy)
		}
	}
	if b.journal != nil {
		if err := b.journal.forget(func(real string) bool {
			return slices.ContainsFunc(groups, func(g string) bool { return b.Commit(g, "", 0, 0).Group == real })
		}); err != nil {
			return fmt.Errorf("broker.dir: %w", err)
		}
	}
	return b.Broker.DeleteGroups(ctx, groups...)
}
