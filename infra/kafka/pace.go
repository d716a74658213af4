package kafka

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// pace makes requests rarer when the cluster, or this machine, is busy: each
// then takes more with it. It goes by how much longer than at best a commit
// takes, so that a distant cluster is not taken for a busy one.
type pace struct {
	busy atomic.Int64 // smoothed time of a commit above the shortest, in ns
	last atomic.Int64 // when one was noted, in ns of Unix's time

	mu    sync.Mutex
	best  [2]time.Duration // shortest commit of this period and of the one before; 0: none
	until time.Time        // end of this period
}

const (
	bestPeriod = 30 * time.Second // what was shortest longer ago than twice this no longer counts

	// A group's next commit comes commitPace times what a commit is late, after
	// the last: what commits cost a busy cluster is bounded so. mostCommitPace
	// bounds what a kill repeats.
	commitPace     = 8
	mostCommitPace = 100 * time.Millisecond

	// A fetch that follows one that brought records waits fetchPace times that,
	// while there are commits to go by.
	fetchPace     = 2
	mostFetchPace = 25 * time.Millisecond
	paceLasts     = time.Second

	mostLate = 25 * time.Millisecond // is all that counts of one commit
)

// took notes how long a commit took that succeeded.
func (p *pace) took(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.After(p.until) {
		p.best[1], p.best[0] = p.best[0], 0
		if now.After(p.until.Add(bestPeriod)) {
			p.best[1] = 0
		}
		p.until = now.Add(bestPeriod)
	}
	if p.best[0] == 0 || d < p.best[0] {
		p.best[0] = d
	}
	best := p.best[0]
	if p.best[1] > 0 {
		best = min(best, p.best[1])
	}
	const smoothing = 8
	busy := p.busy.Load()
	p.busy.Store(busy + (int64(min(d-best, mostLate))-busy)/smoothing)
	p.last.Store(now.UnixNano())
}

// commit is the least time between two commits of a group.
func (p *pace) commit(least time.Duration) time.Duration {
	return max(least, min(mostCommitPace, commitPace*time.Duration(p.busy.Load())))
}

// fetch is how long a fetch waits for company.
func (p *pace) fetch() time.Duration {
	if time.Since(time.Unix(0, p.last.Load())) > paceLasts {
		return 0
	}
	return min(mostFetchPace, fetchPace*time.Duration(p.busy.Load()))
}

// pacedDialer makes the connections of a group member. sarama has no other
// place to slow its fetches down: the least it waits for is fixed at the start.
// What it costs is sarama's look whether an idle connection was closed, which
// knows TCP and TLS connections only; those of a member fetch all the time.
type pacedDialer struct {
	net.Dialer
	tls  *tls.Config // nil: plain text
	pace *pace
}

// on has s use the dialer, which does the TLS itself, to see the requests.
func (d *pacedDialer) on(s *sarama.Config) {
	d.Timeout, d.KeepAlive, d.LocalAddr = s.Net.DialTimeout, s.Net.KeepAlive, s.Net.LocalAddr
	if s.Net.TLS.Enable {
		d.tls, s.Net.TLS.Enable = s.Net.TLS.Config, false
	}
	s.Net.Proxy.Enable, s.Net.Proxy.Dialer = true, d
}

// Dial implements proxy.Dialer. The TLS handshake is made with the first
// request, within its time, as sarama has it.
func (d *pacedDialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := d.Dialer.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		c := d.tls
		if c.ServerName == "" {
			c = c.Clone()
			if c.ServerName, _, err = net.SplitHostPort(addr); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
		}
		conn = tls.Client(conn, c)
	}
	return &pacedConn{Conn: conn, pace: d.pace}, nil
}

// pacedConn delays fetches. sarama writes a request in one call and keeps the
// connection's other requests, such as heartbeats, back meanwhile.
type pacedConn struct {
	net.Conn
	pace *pace
	got  atomic.Int64 // bytes since the last fetch was sent
}

// fetchKey is a fetch's in Kafka's protocol.
const fetchKey = 1

// Read implements net.Conn.
func (c *pacedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.got.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *pacedConn) Write(b []byte) (int, error) {
	// An answer without records has a little more to say of each partition than
	// the question has.
	if kind(b) == fetchKey && c.got.Swap(0) > 2*int64(len(b)) {
		if wait := c.pace.fetch(); wait > 0 {
			<-time.After(wait)
		}
	}
	return c.Conn.Write(b)
}

// kind is that of the request that b is, by its length and what follows; -1: it is none.
func kind(b []byte) int {
	const header = 8 // length, kind, version
	if len(b) < header || int(binary.BigEndian.Uint32(b)) != len(b)-4 {
		return -1
	}
	return int(binary.BigEndian.Uint16(b[4:]))
}
