package gameday_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// timeFactor: a minute of the rules is a second and a half here.
const timeFactor = 40

// alertRun is four servers, their receiver, a Kafka that can be down, and a server
// whose disk goes bad.
type alertRun struct {
	t        *testing.T
	faulty   atomic.Bool // the receiver misbehaves
	overload atomic.Bool // more is sent to slow than it takes
	kafka    *flakyKafka // of edge

	main, busy, edge, spare   string      // addresses
	hurt                      *diskServer // its disk goes bad
	bin, admin                string      // the program, and main's admin API
	spareServer, busyServer   *harness.Server
	spareProcess, busyProcess *harness.Process
	client                    http.Client
	hold                      time.Duration // how long slow takes
}

// receive answers for every destination, by path.
func (w *alertRun) receive(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !w.faulty.Load() {
		return
	}
	stuck := bytes.Contains(body, []byte(`"userId":"stuck`))
	switch r.URL.Path {
	case "/down":
		rw.WriteHeader(http.StatusServiceUnavailable)
	case "/slow":
		select {
		case <-time.After(w.hold): // as slow as it is meant to be
		case <-r.Context().Done():
		}
	case "/stuck", "/gaps":
		if stuck {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	case "/picky":
		if bytes.Contains(body, []byte(`"odd":true`)) {
			rw.WriteHeader(http.StatusUnprocessableEntity)
		}
	case "/refusing", "/denied":
		rw.WriteHeader(http.StatusUnauthorized)
	}
}

// open starts the receiver, the Kafka and the servers.
func (w *alertRun) open(t *testing.T, bin string) {
	t.Helper()
	s := harness.NewReceiver(t, http.HandlerFunc(w.receive))
	w.kafka = newFlakyKafka(t)
	w.bin = bin
	start := func(name, admin, yaml string) (*harness.Server, *harness.Process) {
		t.Helper()
		dir := t.TempDir()
		s := newProgram(t, bin, name, dir)
		yaml = fmt.Sprintf("http: {addr: %q, max_batch_events: 2000, publish_timeout: PUBLISH}\nadmin: {addr: %q}\n", s.Addr, admin) + strings.ReplaceAll(yaml, "DIR", dir)
		yaml = strings.Replace(yaml, "PUBLISH", map[bool]string{true: "500ms", false: "10s"}[name == "edge"], 1)
		if err := os.WriteFile(s.Config, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		p := s.Start(t)
		s.Ready(t)
		return s, p
	}
	yaml := "broker: {kind: embedded, dir: 'DIR/data', sync: false}\nschemas: {dir: '" + harness.File(t, "schemas") + "', mode: warn}\ndestinations:\n"
	for id, more := range map[string]string{
		"good": "", "held": "", "down": "breaker: {initial: 500ms, max: 2s}", "slow": "concurrency: 8", "picky": "", "refusing": "flood_guard: 0", "denied": "breaker: {initial: 500ms, max: 2s}",
		"stuck": "retry: {initial: 200ms, max: 1s, attempts: 1000000, max_age: 1h}",
	} {
		yaml += fmt.Sprintf("  - {id: %s, kind: webhook, url: 'http://%s/%s', allow_private: true, types: [%s], %s}\n", id, s.Addr, id, id, more)
	}
	w.admin = harness.FreeAddr(t)
	server, _ := start("main", w.admin, yaml)
	w.main = server.Addr
	w.busyServer, w.busyProcess = start("busy", "127.0.0.1:0", "broker: {kind: embedded, dir: 'DIR/data', sync: false, partitions: 1, window_messages: 4000}\ndestinations:\n"+
		"  - {id: gaps, kind: webhook, url: 'http://"+s.Addr+"/gaps', allow_private: true, retry: {initial: 8s, max: 8s, attempts: 1000000, max_age: 1h}, breaker: {failures: 1000000}}\n")
	w.busy = w.busyServer.Addr
	server, _ = start("edge", "127.0.0.1:0", fmt.Sprintf("broker: {kind: kafka, brokers: [%q], session_timeout: 2s}\ndestinations: [{id: edge, kind: webhook, url: 'http://%s/edge', allow_private: true}]\n", w.kafka.addr, s.Addr))
	w.edge = server.Addr
	w.spareServer, w.spareProcess = start("spare", "127.0.0.1:0", "broker: {kind: memory}\ndestinations: [{id: spare, kind: log}]\n")
	w.spare = w.spareServer.Addr
	w.hurt = newDiskServer(t, bin)
}

// command runs one that a runbook names, on main.
func (w *alertRun) command(args ...string) {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), w.bin, append(args, "--admin", "http://"+w.admin)...).CombinedOutput()
	w.t.Logf("eventserver %s\n%s", strings.Join(args, " "), out)
	if err != nil {
		w.t.Errorf("eventserver %s: %v", strings.Join(args, " "), err)
	}
}

// reload has busy read its configuration with more at its end.
func (w *alertRun) reload(more string) {
	w.t.Helper()
	b, err := os.ReadFile(w.busyServer.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	b, _, _ = bytes.Cut(b, []byte("mistake"))
	if err := os.WriteFile(w.busyServer.Config, append(b, more...), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.busyProcess.Signal(syscall.SIGHUP)
}

// post sends events to a server and returns its answer.
func (w *alertRun) post(ctx context.Context, addr string, events ...string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/events", strings.NewReader("["+strings.Join(events, ",")+"]"))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// load sends to everybody until ctx ends.
func (w *alertRun) load(ctx context.Context) {
	var wg sync.WaitGroup
	tick := func(every time.Duration, f func(n int)) {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(every):
					f(n)
				}
			}
		})
	}
	tick(200*time.Millisecond, func(n int) {
		var events []string
		add := func(kind, user string, more string) {
			events = append(events, fmt.Sprintf(`{"type":%q,"userId":%q,"n":%d%s}`, kind, user, n, more))
		}
		slow := 2
		if w.overload.Load() {
			slow = 40
		}
		for i := range slow {
			add("slow", fmt.Sprint("u", n%20, "-", i), "")
		}
		for i := range 5 {
			user := fmt.Sprint("u", (n*5+i)%100)
			add("good", user, "")
			add("good", user+"b", "")
			add("picky", user, map[bool]string{true: `,"odd":true`}[i == 0 && n%2 == 0])
			add("held", user, "")
			if i < 2 {
				add("down", user, "")
				add("refusing", user, "")
				add("denied", user, "")
				add("stuck", user, "")
			}
		}
		if n%5 == 0 {
			add("stuck", "stuck", "")
			if w.faulty.Load() {
				add("order.placed", "u", "") // without what its schema demands
			}
		}
		_, _ = w.post(ctx, w.main, events...)
	})
	tick(100*time.Millisecond, func(n int) { _, _ = w.post(ctx, w.busy, fmt.Sprintf(`{"type":"gaps","userId":"u%d"}`, n%50)) }) // each is a commit
	tick(100*time.Millisecond, func(n int) { _, _ = w.post(ctx, w.edge, fmt.Sprintf(`{"type":"t","userId":"u%d"}`, n%50)) })
	tick(500*time.Millisecond, func(n int) { _, _ = w.post(ctx, w.spare, fmt.Sprintf(`{"type":"t","userId":"u%d"}`, n%50)) })
	wg.Wait()
}

// leaveGaps makes more holes than a commit can tell of: 1700 stuck users with an
// event each, every one followed by fifteen that are delivered. A commit's
// bitmap has 24,552 offsets, its list of gaps some 1500.
func (w *alertRun) leaveGaps(ctx context.Context) error {
	for round := range 34 {
		var events []string
		for i := range 50 {
			events = append(events, fmt.Sprintf(`{"type":"gaps","userId":"stuck-%d-%d"}`, round, i))
			for j := range 15 {
				events = append(events, fmt.Sprintf(`{"type":"gaps","userId":"u%d-%d-%d"}`, round, i, j))
			}
		}
		for {
			status, err := w.post(ctx, w.busy, events...)
			if status == http.StatusAccepted {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("round %d: %d %w", round, status, err)
			}
		}
	}
	return nil
}

// Every alert of deploy/prometheus fires for its fault, on a real Prometheus
// that scrapes real servers under load, and clears when the fault is repaired.
// Nothing else fires, and what is wrong with the others does not for the
// destination that is well. While all this goes on, every query of every panel
// has data.
func TestAlerts(t *testing.T) {
	dir := prometheusDir(t)
	bin := harness.Program(t)
	p := startPrometheus(t, dir, timeFactor)
	wait := func(what string, within time.Duration, want map[alert]bool) {
		t.Helper()
		missing := func() (out []alert) {
			now := p.firing(t, false)
			for a, fires := range want {
				if now[a] != fires {
					out = append(out, a)
				}
			}
			return out
		}
		began := time.Now()
		for left := missing(); len(left) > 0; left = missing() {
			if time.Since(began) > within {
				t.Fatalf("%s: after %v still not so: %v", what, within, left)
			}
			<-time.After(250 * time.Millisecond)
		}
		t.Logf("%s: after %v", what, time.Since(began).Round(time.Second))
	}
	wait("Prometheus has no target", time.Minute, map[alert]bool{{"EventServerAbsent", ""}: true})

	books, _ := readRunbooks(t)
	w := &alertRun{t: t, hold: 2 * time.Second}
	w.client.Timeout = 5 * time.Second
	w.open(t, bin)
	watched := time.Now()
	p.scrape(t, w.main, w.busy, w.edge, w.spare, w.hurt.s.Addr)
	ctx, stop := context.WithCancel(t.Context())
	var loading sync.WaitGroup
	loading.Go(func() { w.load(ctx) })
	t.Cleanup(loading.Wait)
	t.Cleanup(stop)
	w.command("pause", "held", "--why", "the whole test")
	wait("its targets are there", time.Minute, map[alert]bool{{"EventServerAbsent", ""}: false})
	<-time.After(25 * time.Second) // without a fault, in which nothing may fire
	if now := p.firing(t, false); len(now) != 0 {
		t.Errorf("without any fault these fire: %v", now)
	}

	w.faulty.Store(true)
	w.overload.Store(true)
	w.kafka.down.Store(true)
	w.kafka.connections.ResetSome(1)
	w.spareProcess.Kill()
	w.hurt.damage()
	w.reload("mistake: 1\n")
	if err := w.leaveGaps(ctx); err != nil {
		t.Fatal(err)
	}
	faults := map[alert]bool{
		{"EventServerDown", ""}:                     true,
		{"EventServerBrokerUnreachable", ""}:        true,
		{"EventServerBrokerDamaged", ""}:            true,
		{"EventServerIngestRefusing", ""}:           true,
		{"EventServerNoPartitionsAssigned", "edge"}: true,
		{"EventServerDestinationDown", "down"}:      true,
		{"EventServerDestinationHeld", "denied"}:    true,
		{"EventServerLagGrowing", "slow"}:           true,
		{"EventServerOldestUndelivered", "slow"}:    true,
		{"EventServerBlockedKey", "stuck"}:          true,
		{"EventServerPoisonRate", "picky"}:          true,
		{"EventServerPoisonFlood", "refusing"}:      true,
		{"EventServerCommitMetadataFull", "gaps"}:   true,
		{"EventServerSchemaViolations", ""}:         true,
		{"EventServerConfigReloadFailed", ""}:       true,
		{"EventServerPausedTooLong", "held"}:        true, // an hour is a minute and a half here
	}
	wait("every fault has its alert", 3*time.Minute, faults)
	p.wantPanels(t, "slow")
	w.command("destinations")

	w.overload.Store(false)
	w.faulty.Store(false)
	w.kafka.down.Store(false)
	w.spareProcess = w.spareServer.Start(t)
	w.hurt.repair(books["eventserverbrokerdamaged"])
	w.reload("")
	w.command("resume", "held")
	repaired := map[alert]bool{}
	for a := range p.firing(t, true) {
		repaired[a] = false
	}
	wait("repaired, every alert is over", 2*time.Minute, repaired)
	p.wantPanels(t, "good")

	// What follows from the faults above, and may fire or not.
	follows := map[alert]bool{
		{"EventServerAbsent", ""}:                  true,
		{"EventServerPoisonRate", "refusing"}:      true,
		{"EventServerPoisonRate", "denied"}:        true, // before it was held
		{"EventServerPoisonFlood", "denied"}:       true,
		{"EventServerOldestUndelivered", "denied"}: true,
		{"EventServerLagGrowing", "denied"}:        true,
		{"EventServerOldestUndelivered", "down"}:   true,
		{"EventServerOldestUndelivered", "stuck"}:  true,
		{"EventServerOldestUndelivered", "gaps"}:   true,
		{"EventServerLagGrowing", "gaps"}:          true,
		{"EventServerLagGrowing", "down"}:          true,
		{"EventServerLagGrowing", "held"}:          true, // until what was held back is delivered
		{"EventServerOldestUndelivered", "held"}:   true,
		{"EventServerBlockedKey", "held"}:          true,
		{"EventServerOldestUndelivered", "edge"}:   true,
		{"EventServerBlockedKey", "gaps"}:          true,
		{"EventServerBlockedKey", "slow"}:          true,
		{"EventServerBlockedKey", "edge"}:          true,
		{"EventServerDestinationDown", "gaps"}:     true, // only the stuck user is left to try
	}
	fired := p.firing(t, true)
	for a := range fired {
		if !faults[a] && !follows[a] {
			t.Errorf("%v fired, and had no cause", a)
		}
	}
	names := map[string]bool{}
	for a := range fired {
		names[a.name] = true
	}
	for _, name := range alertNames(t) {
		if !names[name] {
			t.Errorf("%s never fired: it is not shown to work", name)
		}
	}
	t.Logf("fired and cleared: %v", slices.Sorted(maps.Keys(names)))
	p.draw(t, watched)
}

// draw makes the picture of the README, of the run that has just ended.
func (p *prometheus) draw(t *testing.T, from time.Time) {
	t.Helper()
	out := os.Getenv("EVENTSERVER_PICTURE")
	if out == "" {
		return
	}
	<-time.After(20 * time.Second) // so that it shows what repaired looks like
	out, err := filepath.Abs(out)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", "--prometheus", p.url, "--dashboard", deployed(t, "grafana/dashboards/overview.json"),
		"--from", from.Format(time.RFC3339), "--rate-interval", "5s", "--out", out)
	cmd.Dir = deployed(t, "render")
	said, err := cmd.CombinedOutput()
	t.Logf("%s", said)
	if err != nil {
		t.Errorf("the picture: %v", err)
	}
}
