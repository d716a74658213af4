package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/app/version"
)

// steer builds the admin API, unless it is off.
func (a *App) steer() error {
	cfg := a.cfg
	if cfg.Admin.Addr == config.AdminOff {
		return nil
	}
	build := version.Get()
	c := admin.Config{
		Addr: cfg.Admin.Addr, Logger: a.log,
		Build:         admin.Build{Version: build.Version, Commit: build.Commit, Modified: build.Modified, Go: build.Go, Instance: cfg.Broker.InstanceID, Started: time.Now().UTC()},
		Configuration: inForce{a}, Destinations: steering{a}, Stuck: steering{a}, Reloading: steering{a}, Forgetting: steering{a}, Tailing: steering{a}, Backing: steering{a},
	}
	x, err := explainer(a.broker, cfg, a.pipeline, a.pipeline.Configured, begins(a.control))
	if err != nil {
		return err
	}
	c.Explaining = x
	for i, t := range cfg.Admin.Tokens {
		sums, err := digests(t.SHA256)
		if err != nil {
			return fmt.Errorf("admin.tokens[%d]: %w", i, err)
		}
		c.Tokens = append(c.Tokens, admin.Token{Name: t.Name, Role: admin.Role(t.Role), SHA256: sums})
	}
	if a.poison, err = a.poisonService(); err != nil {
		return err
	}
	c.Poison, c.PoisonRuns = a.poison, a.poison
	a.admin, err = admin.New(c)
	return err
}

// AdminAddr is the address of the admin API once Ready is closed; "" where it
// is off, and with HandleOnly.
func (a *App) AdminAddr() string {
	if a.admin == nil {
		return ""
	}
	return a.admin.Addr()
}

// listen binds the addresses of both servers.
func (a *App) listen(ctx context.Context) error {
	if a.front != nil {
		if err := a.front.Listen(ctx); err != nil {
			return err
		}
	}
	if a.admin == nil {
		return nil
	}
	if err := a.admin.Listen(ctx); err != nil {
		return err
	}
	a.log.Info("the admin API listens", slog.String("addr", a.admin.Addr()), slog.Int("tokens", len(a.cfg.Admin.Tokens)))
	return nil
}

// adminGrace is how long admin requests under way may take to end by themselves
// when the server stops. A redrive goes on behind
// its request and is ended next, between two of its steps.
const adminGrace = time.Second

func (a *App) stopAdmin() error {
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	return a.admin.Shutdown(ctx)
}

// inForce is the configuration as reloads have changed it.
type inForce struct{ app *App }

// Redacted implements admin.Configuration.
func (c inForce) Redacted() string { return c.app.Config().Redacted() }
