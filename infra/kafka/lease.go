package kafka

import (
	"log/slog"
	"time"

	"eventserver/infra"
)

// lease is the time for which this process may act as the owner of its shards. It ends a
// session timeout after the sending of the last heartbeat that was answered. From then on
// the coordinator may have given the shards to another process, whatever the client knows.
// It uses only this process's clock; members.mu guards it.
type lease struct {
	until time.Time
	mark  string // of the member that has it
	valid bool
	timer *time.Timer
}

// holds reports whether the lease is valid. The wall clock shows that the machine was
// suspended.
func (l *lease) holds(now time.Time) bool {
	return l.valid && now.Before(l.until) && now.Round(0).Before(l.until.Round(0))
}

// extend extends the lease after an answered heartbeat. It counts from the time of sending,
// because the coordinator's time begins later.
func (m *members) extend(sent time.Time, member string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	until := sent.Add(m.log.cfg.SessionTimeout)
	if !until.After(time.Now()) || until.Before(m.lease.until) {
		return
	}
	m.lease.until, m.lease.mark = until, markOf(member)
	if m.lease.timer == nil {
		m.lease.timer = time.AfterFunc(time.Until(until), m.expire)
	} else {
		m.lease.timer.Reset(time.Until(until))
	}
	if !m.lease.valid {
		m.lease.valid = true
		m.share(nil)
	}
}

// expire ends every claim when the lease has ended.
func (m *members) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.lease.valid || m.closed {
		return
	}
	if left := time.Until(m.lease.until); left > 0 && m.lease.holds(time.Now()) {
		m.lease.timer.Reset(left)
		return
	}
	m.lease.valid = false
	n := len(m.share(infra.ErrLost))
	m.log.cfg.Logger.Error("no heartbeat was answered for the session timeout: another process may own the shards, so nothing more is sent",
		slog.Duration("session_timeout", m.log.cfg.SessionTimeout), slog.Int("partitions", n))
}
