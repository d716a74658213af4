package kafka

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// committer commits what the claims of one group session have done: at once,
// and then no more often than CommitInterval. What is done and not committed
// comes again after a kill, so that this time is what a kill costs in
// duplicates.
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

	mu   sync.Mutex // held while a commit is under way
	conn *sarama.Broker

	failing bool // told so
}

func newCommitter(s *subscription, session sarama.ConsumerGroupSession) *committer {
	return &committer{sub: s, session: session, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// due says that a claim has something to commit.
func (c *committer) due() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// commitShare is the largest share of the time that commits may take: a broker
// that is slow to store them is asked less often.
const commitShare = 4

// run commits until ctx ends.
func (c *committer) run(ctx context.Context) {
	defer close(c.ended)
	defer c.disconnect()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		began := time.Now()
		wait := c.sub.broker.cfg.CommitInterval
		if err := c.commit(); err != nil && ctx.Err() == nil {
			c.failed(err)
			wait = max(wait, commitRetry)
			c.due()
		} else if err == nil {
			c.failing = false
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(wait, commitShare*time.Since(began))):
		}
	}
}

// commitRetry is the pause after a commit that failed.
const commitRetry = 250 * time.Millisecond

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

// commit sends what is done in all claims of the session in one request.
func (c *committer) commit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	const version = 7 // the last one before flexible encoding; Kafka 2.3
	req := &sarama.OffsetCommitRequest{Version: version, ConsumerGroup: c.sub.group, ConsumerID: c.session.MemberID(),
		ConsumerGroupGeneration: c.session.GenerationID()}
	if c.sub.instance != "" {
		req.GroupInstanceId = &c.sub.instance
	}
	sent := map[int32]*claim{}
	for _, cl := range c.sub.claimsOf(c.session) {
		if position, metadata, ok := cl.mark(); ok {
			req.AddBlockWithLeaderEpoch(cl.topic, cl.partition, position, -1, sarama.ReceiveTime, metadata)
			sent[cl.partition] = cl
		}
	}
	if len(sent) == 0 {
		return nil
	}
	again := func(err error) error {
		for _, cl := range sent {
			cl.unmark()
		}
		return err
	}
	conn, err := c.connect()
	if err != nil {
		return again(err)
	}
	resp, err := conn.CommitOffset(req)
	if err != nil {
		c.drop()
		return again(err)
	}
	var refused error
	for _, partitions := range resp.Errors {
		for p, code := range partitions {
			if code != sarama.ErrNoError {
				refused = code
				sent[p].unmark()
			}
		}
	}
	if errors.Is(refused, sarama.ErrNotCoordinatorForConsumer) || errors.Is(refused, sarama.ErrConsumerCoordinatorNotAvailable) {
		c.drop()
	}
	return refused
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
	c.sub.mu.Lock()
	delete(c.sub.claims, cl)
	c.sub.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.mark()
}

// claimsOf lists the claims of a session.
func (s *subscription) claimsOf(session sarama.ConsumerGroupSession) []*claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(s.claims)), func(c *claim) bool { return c.session != session })
}
