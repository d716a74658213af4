package router

import (
	"context"
	"log/slog"
	"time"
)

// pingInterval is how often the broker is asked whether it answers. pingTimeout
// is shorter, so that an answer is never older than one interval.
const (
	pingInterval = 5 * time.Second
	pingTimeout  = 4 * time.Second
)

// silence is a broker that does not answer, or answers and stores nothing.
type silence struct {
	since   time.Time
	err     error // of the last time it was asked
	answers bool
}

// silent is what is wrong with the broker; nil: nothing.
func (p *Pipeline) silent() *silence {
	if b := p.broker.Load(); b != nil {
		return b
	}
	return p.storing.silence()
}

func (p *Pipeline) setBrokerUp() {
	up := 1.0
	if p.silent() != nil {
		up = 0
	}
	p.cfg.Metrics.BrokerUp.Set(up)
}

// watchBroker keeps eventserver_broker_up, and says so when it changes.
func (p *Pipeline) watchBroker(ctx context.Context) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	p.cfg.Metrics.BrokerUp.Set(1) // it has made its topics a moment ago
	for {
		p.askBroker(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// askBroker asks the broker whether it answers, and takes note of it.
func (p *Pipeline) askBroker(ctx context.Context) {
	p.asking.Lock()
	defer p.asking.Unlock()
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	err := p.cfg.Broker.Ping(limited)
	cancel()
	if ctx.Err() != nil {
		return
	}
	before := p.broker.Load()
	switch {
	case err == nil && before != nil:
		p.cfg.Logger.Info("the broker answers again")
		p.broker.Store(nil)
	case err != nil && before == nil:
		p.cfg.Logger.Warn("the broker does not answer", slog.Any("error", err))
		p.broker.Store(&silence{since: time.Now(), err: err})
	case err != nil:
		p.broker.Store(&silence{since: before.since, err: err})
	}
	p.setBrokerUp()
}
