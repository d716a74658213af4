package kafka

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"eventserver/infra/progress"
)

// codec writes commit metadata, of Kafka's default offset.metadata.max.bytes.
var codec = progress.Codec{Form: progress.Plain, Limit: 4096}

// committer commits what the claims of one group session have done: at once,
// and then no more often than CommitInterval, or less often on a busy cluster
// (see pace). What is done and not committed comes again after a kill, so that
// this time is what a kill costs in duplicates.
//
// Its requests have a connection of their own. sarama's commits share one with
// the fetches, where a broker answers one request after the other: each would
// wait for a long poll to end. sarama commits once more when a claim or the
// session ends, which is why every commit is also marked there.
type committer struct {
	sub     *subscription
	session sarama.ConsumerGroupSession
	wake    chan struct{} // cap 1: something was done
	ended   chan struct{}

	mu      sync.Mutex // held while a commit is under way
	conn    *sarama.Broker
	pending map[*claim]pending // not committed yet

	failing bool // told so
}

// pending is what a claim has done, for a commit.
type pending struct {
	offset   int64  // of the first message that is not done
	metadata string // what is done above it
}

func newCommitter(s *subscription, session sarama.ConsumerGroupSession) *committer {
	return &committer{sub: s, session: session, wake: make(chan struct{}, 1), ended: make(chan struct{}), pending: map[*claim]pending{}}
}

// due says that a claim has something to commit.
func (c *committer) due() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

const (
	// commitRetry is the pause after a commit that failed.
	commitRetry = 250 * time.Millisecond
	// commitsPerSecond bounds the commits of all groups of this process: a
	// hundred destinations have two hundred groups.
	commitsPerSecond = 1000
)

// run commits until ctx ends.
func (c *committer) run(ctx context.Context) {
	defer close(c.ended)
	defer c.disconnect()
	var next time.Time // of the next commit
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		c.collect()
		wait := time.Until(next)
		if wait <= 0 {
			if c.sub.broker.commits.Wait(ctx) != nil {
				return // ctx ended
			}
			c.collect()
			err := c.commit()
			wait = c.sub.broker.pace.commit(c.sub.broker.cfg.CommitInterval)
			if err != nil && ctx.Err() == nil {
				c.failed(err)
				wait = max(wait, commitRetry)
			} else if err == nil {
				c.failing = false
			}
			next = time.Now().Add(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if c.uncommitted() {
			c.due()
		}
	}
}

// failed says it once. A rebalance fails commits as a matter of course.
func (c *committer) failed(err error) {
	c.sub.checkFenced(err)
	expected := errors.Is(err, sarama.ErrIllegalGeneration) || errors.Is(err, sarama.ErrUnknownMemberId) ||
		errors.Is(err, sarama.ErrRebalanceInProgress)
	if expected || c.failing {
		c.sub.log.Debug("commit failed; trying again", slog.Any("error", err))
		return
	}
	c.failing = true
	c.sub.log.Warn("commit failed; trying again, and a kill meanwhile repeats what is done", slog.Any("error", err))
}

// collect takes from the claims what is new.
func (c *committer) collect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sub.mu.Lock()
	defer c.sub.mu.Unlock()
	for cl := range c.sub.claims {
		if cl.session == c.session {
			c.take(cl)
		}
	}
}

// take is collect for one claim. The caller holds mu.
func (c *committer) take(cl *claim) {
	position, metadata, changed := cl.mark()
	if !changed {
		return
	}
	c.pending[cl] = pending{position, metadata}
}

func (c *committer) uncommitted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) > 0
}

// commit sends what is pending in one request.
func (c *committer) commit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil
	}
	const version = 7 // the last one before flexible encoding; Kafka 2.3
	req := &sarama.OffsetCommitRequest{Version: version, ConsumerGroup: c.sub.group, ConsumerID: c.session.MemberID(),
		ConsumerGroupGeneration: c.session.GenerationID()}
	if c.sub.instance != "" {
		req.GroupInstanceId = &c.sub.instance
	}
	for cl, p := range c.pending {
		req.AddBlockWithLeaderEpoch(cl.topic, cl.partition, p.offset, -1, sarama.ReceiveTime, p.metadata)
	}
	resp, took, err := c.send(req)
	if err != nil {
		return err
	}
	var refused error
	for cl := range c.pending {
		if code := resp.Errors[cl.topic][cl.partition]; code != sarama.ErrNoError {
			refused = code
		} else {
			delete(c.pending, cl)
		}
	}
	if refused == nil { // a refusal is quick
		c.sub.broker.pace.took(took)
	}
	if errors.Is(refused, sarama.ErrNotCoordinatorForConsumer) || errors.Is(refused, sarama.ErrConsumerCoordinatorNotAvailable) {
		c.drop()
	}
	return refused
}

// send makes the request. A broker closes connections that were idle for long
// (ten minutes by default), which shows only now: on one that was used before,
// the request is made once more. took is without connecting. The caller holds mu.
func (c *committer) send(req *sarama.OffsetCommitRequest) (resp *sarama.OffsetCommitResponse, took time.Duration, err error) {
	used := c.conn != nil
	for {
		conn, err := c.connect()
		if err != nil {
			return nil, 0, err
		}
		began := time.Now()
		resp, err := conn.CommitOffset(req)
		if err == nil {
			return resp, time.Since(began), nil
		}
		if !used {
			c.drop()
			return nil, 0, err
		}
		used = false
		_ = c.conn.Close() // it failed
		c.conn = nil
	}
}

// connect dials the group's coordinator. The caller holds mu.
func (c *committer) connect() (*sarama.Broker, error) {
	if c.conn != nil {
		return c.conn, nil
	}
	client := c.sub.broker.client
	coordinator, err := client.Coordinator(c.sub.group)
	if err != nil {
		return nil, err
	}
	conn := sarama.NewBroker(coordinator.Addr())
	if err := conn.Open(client.Config()); err != nil {
		return nil, err
	}
	if _, err := conn.Connected(); err != nil { // Open does not wait
		_ = conn.Close()
		return nil, err
	}
	c.conn = conn
	return conn, nil
}

// drop forgets a connection that failed and asks anew who the coordinator is.
// The caller holds mu.
func (c *committer) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
	if err := c.sub.broker.client.RefreshCoordinator(c.sub.group); err != nil {
		c.sub.log.Debug("coordinator unknown", slog.Any("error", err))
	}
}

func (c *committer) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // nothing is under way
	}
}

// leave returns when no commit of cl is under way and none will be: sarama's
// last commit of the partition must not be overtaken.
func (c *committer) leave(cl *claim) {
	c.sub.disown(cl)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(cl)
	delete(c.pending, cl)
}
