package gameday_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// incident is one of the game day. Its functions are what the world does, and
// what an operator does who has read the runbook: what is between its commands.
type incident struct {
	name   string // as in the table of docs/runbooks.md
	server *server
	load   *load
	whole  bool     // the alert is about the process, not a destination
	shared bool     // it is everybody's: the destination beside waits too
	says   []string // that the cause names, as regular expressions
	file   string   // what a file destination has written

	fault  func(t *testing.T) // it happens
	repair func(t *testing.T) // before "repair"
	later  func(t *testing.T) // before "then"; nil: nothing
	// redrives: something must be sent on again; discards: the rest is settled.
	redrives, discards bool
}

// gameDay is what all incidents of a run share.
type gameDay struct {
	prometheus *prometheus
	books      map[string]runbook
	table      map[string]rehearsal
}

// run plays one incident from the first fault to the last event.
func (g *gameDay) run(t *testing.T, in incident) {
	planned, ok := g.table[in.name]
	if !ok {
		t.Fatalf("docs/runbooks.md has no %q in its table", in.name)
	}
	began := time.Now()
	step := func(what string) { t.Logf("%5.1fs %s", time.Since(began).Seconds(), what) }
	in.load.begin(t)
	harness.WaitFor(t, time.Minute, "the first deliveries", func() bool { return in.load.check.Delivered() > 20 })
	in.fault(t)

	var notified page
	if !harness.WaitFor(t, 2*time.Minute, planned.alert, func() bool {
		pages, err := g.prometheus.pages(planned.alert)
		for _, p := range pages {
			if in.whole && p.Labels["instance"] == in.server.Addr || p.Labels["destination"] == in.load.name {
				notified = p
				return true
			}
		}
		<-time.After(200 * time.Millisecond)
		if err != nil {
			t.Error(err)
		}
		return false
	}) {
		out, _, _ := in.server.shell(in.load.name).run(t.Context(), `eventserver destinations --admin "$ADMIN"`)
		t.Fatalf("eventserver destinations says\n%s", out)
	}
	step(planned.alert + ": " + notified.Annotations["summary"])
	path, anchor, _ := strings.Cut(notified.Annotations["runbook_url"], "#")
	book := g.books[anchor]
	if path != "docs/runbooks.md" || book == nil {
		t.Fatalf("the alert's runbook is %q, and is not there", notified.Annotations["runbook_url"])
	}
	sh := in.server.shell(notified.Labels["destination"])
	do := func(block string, codes ...int) string {
		t.Helper()
		out, code, err := sh.run(t.Context(), book[block])
		step(fmt.Sprintf("%s: %s (%d)\n%.3000s", block, book[block], code, out))
		if err != nil || !slices.Contains(codes, code) {
			t.Errorf("%s: ended with %d, %v", book[block], code, err)
		}
		return out
	}
	if book["first"] != "" {
		do("first", 0)
	}
	out := do("cause", 0, 1)
	for _, text := range in.says {
		if !regexp.MustCompile(text).MatchString(out) {
			t.Errorf("the cause is not said: want %s", text)
		}
	}
	in.repair(t)
	do("repair", 0)
	if in.later != nil {
		in.later(t)
	}
	if book["then"] != "" {
		do("then", 0)
	}
	if in.discards {
		in.load.end()
		n := len(in.load.oddIDs)
		harness.WaitFor(t, time.Minute, "what nobody takes to come back", func() bool {
			out, _, err := sh.run(t.Context(), `eventserver poison counts --destination "$DEST" --admin "$ADMIN"`)
			return err == nil && regexp.MustCompile(fmt.Sprintf(`(?m)^all +%d *$`, n)).MatchString(out)
		})
		if out := do("discard", 0); !strings.Contains(out, fmt.Sprintf("%d discarded", in.load.discarded())) {
			t.Errorf("%d events were sent that no receiver takes, and that is not what was discarded", n)
		}
	}
	over := ""
	if !harness.WaitFor(t, 2*time.Minute, book["over"], func() bool {
		out, code, err := sh.run(t.Context(), book["over"])
		if err == nil && code == 0 {
			return true
		}
		over = out
		<-time.After(300 * time.Millisecond)
		return false
	}) {
		t.Logf("it said: %s", over)
	}
	step("over: " + book["over"])
	harness.WaitFor(t, 2*time.Minute, planned.alert+" to clear", func() bool {
		pages, err := g.prometheus.pages(planned.alert)
		<-time.After(200 * time.Millisecond)
		return err == nil && !slices.ContainsFunc(pages, func(p page) bool { return maps.Equal(p.Labels, notified.Labels) })
	})
	step("the alert is over")
	in.load.complete(t, in.file)
	for a := range g.prometheus.firing(t, true) {
		if a.destination == in.load.beside && !in.shared {
			t.Errorf("%v fired: the destination beside has noticed", a)
		}
	}
	if in.redrives && in.load.redriven == 0 {
		t.Error("nothing was redriven")
	}
	step("every event is there")
}

// Ten incidents, each with the alert that fires, the command that shows its
// cause, the one that repairs it, and nothing lost. docs/runbooks.md is followed to
// the letter: its commands are run by sh, and only what it says in words is done
// by the test.
func TestGameDay(t *testing.T) {
	dir := prometheusDir(t)
	bin := harness.Program(t)
	g := &gameDay{prometheus: startPrometheus(t, dir, timeFactor)}
	g.books, g.table = readRunbooks(t)

	main := newServer(t, bin, "main", "{kind: embedded, dir: 'DIR/data', sync: false}")
	kafka := newFlakyKafka(t)
	edge := newServer(t, bin, "edge", fmt.Sprintf("{kind: kafka, brokers: [%q], session_timeout: 2s}", kafka.addr))
	loads := map[string]*load{}
	receivers := map[string]*harness.Receiver{}
	add := func(h *server, beside string, more map[string]string) {
		all := harness.NewReceiver(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			id := r.Header.Get("Event-Id")
			name, _, _ := strings.Cut(id, "-")
			loads[name].delivered(beside, id, r.Header.Get("Event-Sequence"), "")
		}))
		for _, name := range slices.Sorted(maps.Keys(more)) {
			s := newLoad(name, beside, h.Addr)
			loads[name] = s
			receivers[name] = harness.NewReceiver(t, http.HandlerFunc(s.receive))
			h.destination(name, webhook(name, name, receivers[name], more[name]))
		}
		h.destination(beside, webhook(beside, "'*'", all, ""))
	}
	const stubborn = ", retry: {initial: 200ms, max: 1s, attempts: 1000000, max_age: 1h}"
	const total = `, transform: '{"total": has(event.data.total) ? event.data.total : 0}'`
	add(main, "good", map[string]string{"crm": "", "slow": ", concurrency: 8", "locked": ", headers: {Authorization: 'Bearer old'}", "picky": "", "shaped": total, "flooded": ", flood_guard: 0", "stuck": stubborn})
	add(edge, "fine", map[string]string{"audit": "", "disk": "", "mirror": ""})
	disk := newSmallDisk(t)
	edge.destination("disk", fmt.Sprintf("{id: disk, kind: file, path: %q, envelope: true, types: [disk], breaker: {initial: 500ms, max: 2s}}", disk.path))
	main.open(t)
	edge.open(t)
	disk.pid = edge.process.PID()
	g.prometheus.scrape(t, main.Addr, edge.Addr)

	edit := func(h *server, id, line string) func(t *testing.T) {
		return func(t *testing.T) { h.destination(id, line); h.write(t) }
	}
	var repaired, odd atomic.Bool
	loads["slow"].users = 400
	loads["slow"].answers(func(attempt) int { <-time.After(200 * time.Millisecond); return http.StatusOK }) // as it is
	moved := harness.NewReceiver(t, http.HandlerFunc(loads["crm"].receive))
	sequences := [][]incident{{
		{name: "destination down", load: loads["crm"], says: []string{`breaker open`, `connection refused`, `\d+ events, the oldest accepted`},
			fault:  func(*testing.T) { receivers["crm"].Close() },
			repair: edit(main, "crm", webhook("crm", "crm", moved, ""))},
		{name: "wrong credentials", load: loads["locked"], says: []string{`held since`, `refuses one user after the other`, `401`}, redrives: true,
			fault: func(*testing.T) {
				loads["locked"].answers(func(d attempt) int {
					if d.header.Get("Authorization") == "Bearer new" {
						return http.StatusOK
					}
					return http.StatusUnauthorized
				})
			},
			repair: edit(main, "locked", webhook("locked", "locked", receivers["locked"], ", headers: {Authorization: 'Bearer new'}"))},
		{name: "one bad user", load: loads["picky"], says: []string{`picky-u7 `, `permanent`, `422`}, redrives: true,
			fault: func(*testing.T) {
				loads["picky"].answers(func(d attempt) int {
					if d.user == "picky-u7" {
						return http.StatusUnprocessableEntity
					}
					return http.StatusOK
				})
			},
			repair: func(*testing.T) { loads["picky"].answer.Store(nil) }},
		{name: "bad transform", load: loads["shaped"], says: []string{`pipeline`, `transform`, `transform: \d:\d+: no such key: total`}, redrives: true,
			fault: func(t *testing.T) {
				edit(main, "shaped", webhook("shaped", "shaped", receivers["shaped"], `, transform: '{"total": event.data.total}'`))(t)
				if out, code, err := main.shell("shaped").run(t.Context(), `eventserver reload --admin "$ADMIN"`); code != 0 || err != nil {
					t.Fatal(code, err, out)
				}
			},
			repair: edit(main, "shaped", webhook("shaped", "shaped", receivers["shaped"], total))},
		{name: "poison flood", load: loads["flooded"], says: []string{`permanent`, `422`}, redrives: true, discards: true,
			fault: func(*testing.T) {
				odd.Store(true)
				loads["flooded"].answers(func(d attempt) int {
					if d.odd || odd.Load() && d.user == "flooded-u9" { // and a user that it takes after all
						return http.StatusUnprocessableEntity
					}
					return http.StatusOK
				})
				loads["flooded"].odd.Store(true)
			},
			repair: func(*testing.T) { loads["flooded"].odd.Store(false); odd.Store(false) }},
		{name: "stuck key", load: loads["stuck"], says: []string{`(?m)^stuck-u4 .* (backoff|attempt) +\d+ of 1000000 .*500`}, redrives: true,
			fault: func(*testing.T) {
				var which atomic.Int64
				loads["stuck"].answers(func(d attempt) int {
					if d.user == "stuck-u4" && !repaired.Load() && (which.CompareAndSwap(0, int64(d.n)) || which.Load() == int64(d.n)) {
						return http.StatusInternalServerError
					}
					return http.StatusOK
				})
			},
			repair: edit(main, "stuck", webhook("stuck", "stuck", receivers["stuck"], ", retry: {initial: 200ms, max: 1s, attempts: 3}")),
			later: func(t *testing.T) {
				harness.WaitFor(t, time.Minute, "the stuck event to be given up", func() bool {
					_, code, err := main.shell("stuck").run(t.Context(), `eventserver poison counts --destination "$DEST" --check --admin "$ADMIN"`)
					return err == nil && code == 1
				})
				repaired.Store(true)
			}},
		{name: "slow", load: loads["slow"], says: []string{`(?m)^slow +running +\d{4,} .* 8/8 .* busy: 8 attempts are under way`},
			fault:  func(*testing.T) { loads["slow"].rate.Store(20) },
			repair: edit(main, "slow", webhook("slow", "slow", receivers["slow"], ", concurrency: 256"))},
	}, {
		{name: "config mistake", load: loads["audit"], whole: true,
			says: []string{`(?m)^audit +running `, `by SIGHUP failed`, `eventserver.yaml:\d+: destinations\[0\].*concurency`, `eventserver.yaml:\d+: destinations\[3\].*ftp`},
			fault: func(t *testing.T) {
				h := edge.lines["fine"]
				edge.destination("audit", webhook("audit", "audit", receivers["audit"], ", concurency: 128"))
				edit(edge, "fine", strings.Replace(h, "http://", "ftp://", 1))(t)
				edge.destination("fine", h)
				edge.process.Signal(syscall.SIGHUP)
			},
			repair: edit(edge, "audit", webhook("audit", "audit", receivers["audit"], ", concurrency: 128"))},
		{name: "full disk", load: loads["disk"], says: []string{`breaker open`, disk.says}, file: disk.path,
			fault: disk.fill, repair: disk.free},
		{name: "broker down", load: loads["mirror"], whole: true, shared: true, says: []string{`(?m)^mirror .* the broker has not answered since `, regexp.QuoteMeta(kafka.addr)},
			fault:  func(*testing.T) { kafka.down.Store(true); kafka.connections.ResetSome(1) },
			repair: func(*testing.T) { kafka.down.Store(false) }},
	}}
	var wg sync.WaitGroup
	played := 0
	for i, sequence := range sequences {
		h := []*server{main, edge}[i]
		played += len(sequence)
		wg.Go(func() {
			for _, in := range sequence {
				in.server = h
				t.Run(in.name, func(t *testing.T) { g.run(t, in) })
			}
		})
	}
	wg.Wait()
	if len(g.table) != played || played != 10 {
		t.Errorf("%d incidents in the table, %d played", len(g.table), played)
	}
	for _, h := range []*server{main, edge} {
		for _, line := range h.Crashes() {
			t.Error(line)
		}
	}
}
