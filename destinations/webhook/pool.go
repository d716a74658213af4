package webhook

import (
	"sync"
	"time"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// pool keeps connections that no request uses. The one that was used last is
// taken first, so that those of a burst come to their end.
type pool struct {
	most int
	idle time.Duration // longest that one is kept

	mu     sync.Mutex
	links  []pooled // the last one was used last
	sweeps *time.Timer
	closed bool
}

type pooled struct {
	*link
	since time.Time
}

// take returns a connection that its receiver has not closed; nil: there is none.
func (p *pool) take() *link {
	for {
		p.mu.Lock()
		n := len(p.links)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		last := p.links[n-1]
		p.links[n-1] = pooled{}
		p.links = p.links[:n-1]
		p.mu.Unlock()
		if time.Since(last.since) < p.idle && quiet(last.Conn) {
			return last.link
		}
		last.close()
	}
}

func (p *pool) put(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.links) >= p.most {
		l.close()
		return
	}
	p.links = append(p.links, pooled{l, time.Now()})
	if p.sweeps == nil {
		p.sweeps = time.AfterFunc(p.idle, p.sweep)
	}
}

// sweep closes what has been idle for too long, and comes again while there is
// something to wait for.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.links) && time.Since(p.links[old].since) >= p.idle {
		p.links[old].close()
		old++
	}
	clear(p.links[:old])
	p.links = p.links[old:]
	p.sweeps = nil
	if len(p.links) > 0 {
		p.sweeps = time.AfterFunc(p.idle-time.Since(p.links[0].since), p.sweep)
	}
}

// close closes what is idle. What is in use is closed when it comes back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.sweeps != nil {
		p.sweeps.Stop()
	}
	for _, l := range p.links {
		l.close()
	}
	p.links = nil
}
