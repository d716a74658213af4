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

// silence is a broker that does not answer.
type silence struct {
	since time.Time
	err   error // of the last time it was asked
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
			p.cfg.Metrics.BrokerUp.Set(0)
			since = time.Now()
			p.cfg.Logger.Warn("the broker does not answer", slog.Any("error", err))
		case err == nil && !up:
			p.cfg.Metrics.BrokerUp.Set(1)
			p.cfg.Logger.Info("the broker answers again")
		}
		if up = err == nil; up {
			p.broker.Store(nil)
		} else {
			p.broker.Store(&silence{since: since, err: err})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
