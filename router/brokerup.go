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
	up, since := true, time.Time{}
	p.cfg.Metrics.BrokerUp.Set(1) // it has made its topics a moment ago
	for {
		asking, cancel := context.WithTimeout(ctx, pingTimeout)
		err := p.cfg.Broker.Ping(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && up:
			since = time.Now()
			p.cfg.Logger.Warn("the broker does not answer", slog.Any("error", err))
		case err == nil && !up:
			p.cfg.Logger.Info("the broker answers again")
		}
		if up = err == nil; up {
			p.broker.Store(nil)
		} else {
			p.broker.Store(&silence{since: since, err: err})
		}
		p.setBrokerUp()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
