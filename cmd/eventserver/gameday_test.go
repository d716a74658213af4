package main_test

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
)

// incident is one of the game day. Its functions are what the world does, and
// what an operator does who has read the runbook: what is between its commands.
type incident struct {
	name   string // as in the table of docs/runbooks.md
	house  *house
	stream *gameStream
	whole  bool     // the alert is about the process, not a destination
	shared bool     // it is everybody's: the destination beside waits too
	says   []string // that the cause names, as regular expressions
	file   string   // what a file destination has written

	strike func(t *testing.T) // it happens
	repair func(t *testing.T) // before "mend"
	later  func(t *testing.T) // before "then"; nil: nothing
	// redrives: something must be sent on again; discards: the rest is settled.
	redrives, discards bool
}

// gameDay is the cast.
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
	in.stream.begin(t)
	waitFor(t, time.Minute, "the first deliveries", func() bool { return in.stream.check.Delivered() > 20 })
	in.strike(t)

	var woken page
	if !waitFor(t, 2*time.Minute, planned.alert, func() bool {
		pages, err := g.prometheus.pages(planned.alert)
		for _, p := range pages {
			if in.whole && p.Labels["instance"] == in.house.addr || p.Labels["destination"] == in.stream.name {
				woken = p
				return true
			}
		}
		<-time.After(200 * time.Millisecond)
		if err != nil {
			t.Error(err)
		}
		return false
	}) {
		out, _, _ := in.house.shell(in.stream.name).run(t.Context(), `eventserver destinations --admin "$ADMIN"`)
		t.Fatalf("eventserver destinations says\n%s", out)
	}
	step(planned.alert + ": " + woken.Annotations["summary"])
	path, anchor, _ := strings.Cut(woken.Annotations["runbook_url"], "#")
	book := g.books[anchor]
	if path != "docs/runbooks.md" || book == nil {
		t.Fatalf("the alert's runbook is %q, and is not there", woken.Annotations["runbook_url"])
	}
	sh := in.house.shell(woken.Labels["destination"])
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
	do("mend", 0)
	if in.later != nil {
		in.later(t)
	}
	if book["then"] != "" {
		do("then", 0)
	}
	if in.discards {
		in.stream.end()
		n := len(in.stream.spoilt)
		waitFor(t, time.Minute, "what nobody takes to come back", func() bool {
			out, _, err := sh.run(t.Context(), `eventserver poison counts --destination "$DEST" --admin "$ADMIN"`)
			return err == nil && regexp.MustCompile(fmt.Sprintf(`(?m)^all +%d *$`, n)).MatchString(out)
		})
		if out := do("discard", 0); !strings.Contains(out, fmt.Sprintf("%d discarded", in.stream.discarded())) {
			t.Errorf("%d events were sent that no receiver takes, and that is not what was discarded", n)
		}
	}
	over := ""
	if !waitFor(t, 2*time.Minute, book["over"], func() bool {
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
	waitFor(t, 2*time.Minute, planned.alert+" to clear", func() bool {
		pages, err := g.prometheus.pages(planned.alert)
		<-time.After(200 * time.Millisecond)
		return err == nil && !slices.ContainsFunc(pages, func(p page) bool { return maps.Equal(p.Labels, woken.Labels) })
	})
	step("the alert is over")
	in.stream.complete(t, in.file)
	for a := range g.prometheus.firing(t, true) {
		if a.destination == in.stream.beside && !in.shared {
			t.Errorf("%v fired: the destination beside has noticed", a)
		}
	}
	if in.redrives && in.stream.redriven == 0 {
		t.Error("nothing was redriven")
	}
	step("every event is there")
}

// Ten incidents, each with the alert that fires, the command that shows its
// cause, the one that mends it, and nothing lost. docs/runbooks.md is followed to
// the letter: its commands are run by sh, and only what it says in words is done
// by the test.
func TestGameDay(t *testing.T) {
	dir := prometheusDir(t)
	bin := binary(t)
	g := &gameDay{prometheus: startPrometheus(t, dir, watchFactor)}
	g.books, g.table = readRunbooks(t)

	main := newHouse(t, bin, "main", "{kind: embedded, dir: 'DIR/data', sync: false}")
	kafka := newDeafKafka(t)
	edge := newHouse(t, bin, "edge", fmt.Sprintf("{kind: kafka, brokers: [%q], session_timeout: 2s}", kafka.addr))
	streams := map[string]*gameStream{}
	sites := map[string]*site{}
	add := func(h *house, beside string, more map[string]string) {
		all := newSite(t, func(_ http.ResponseWriter, r *http.Request) {
			id := r.Header.Get("Event-Id")
			name, _, _ := strings.Cut(id, "-")
			streams[name].delivered(beside, id, r.Header.Get("Event-Sequence"), "")
		})
		for _, name := range slices.Sorted(maps.Keys(more)) {
			s := newGameStream(name, beside, h.addr)
			streams[name] = s
			sites[name] = newSite(t, s.receive)
			h.destination(name, webhook(name, name, sites[name], more[name]))
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
	disk.pid = edge.process.cmd.Process.Pid
	g.prometheus.watch(t, main.addr, edge.addr)

	edit := func(h *house, id, line string) func(t *testing.T) {
		return func(t *testing.T) { h.destination(id, line); h.write(t) }
	}
	var mended, odd atomic.Bool
	streams["slow"].users = 400
	streams["slow"].answers(func(gameDelivery) int { <-time.After(200 * time.Millisecond); return http.StatusOK }) // as it is
	newcomer := newSite(t, streams["crm"].receive)
	lanes := [][]incident{{
		{name: "destination down", stream: streams["crm"], says: []string{`breaker open`, `connection refused`, `\d+ events, the oldest accepted`},
			strike: func(*testing.T) { sites["crm"].close() },
			repair: edit(main, "crm", webhook("crm", "crm", newcomer, ""))},
		{name: "wrong credentials", stream: streams["locked"], says: []string{`held since`, `refuses one user after the other`, `401`}, redrives: true,
			strike: func(*testing.T) {
				streams["locked"].answers(func(d gameDelivery) int {
					if d.header.Get("Authorization") == "Bearer new" {
						return http.StatusOK
					}
					return http.StatusUnauthorized
				})
			},
			repair: edit(main, "locked", webhook("locked", "locked", sites["locked"], ", headers: {Authorization: 'Bearer new'}"))},
		{name: "one bad user", stream: streams["picky"], says: []string{`picky-u7 `, `permanent`, `422`}, redrives: true,
			strike: func(*testing.T) {
				streams["picky"].answers(func(d gameDelivery) int {
					if d.user == "picky-u7" {
						return http.StatusUnprocessableEntity
					}
					return http.StatusOK
				})
			},
			repair: func(*testing.T) { streams["picky"].answer.Store(nil) }},
		{name: "bad transform", stream: streams["shaped"], says: []string{`pipeline`, `transform`, `transform: \d:\d+: no such key: total`}, redrives: true,
			strike: func(t *testing.T) {
				edit(main, "shaped", webhook("shaped", "shaped", sites["shaped"], `, transform: '{"total": event.data.total}'`))(t)
				if out, code, err := main.shell("shaped").run(t.Context(), `eventserver reload --admin "$ADMIN"`); code != 0 || err != nil {
					t.Fatal(code, err, out)
				}
			},
			repair: edit(main, "shaped", webhook("shaped", "shaped", sites["shaped"], total))},
		{name: "poison flood", stream: streams["flooded"], says: []string{`permanent`, `422`}, redrives: true, discards: true,
			strike: func(*testing.T) {
				odd.Store(true)
				streams["flooded"].answers(func(d gameDelivery) int {
					if d.odd || odd.Load() && d.user == "flooded-u9" { // and a user that it takes after all
						return http.StatusUnprocessableEntity
					}
					return http.StatusOK
				})
				streams["flooded"].odd.Store(true)
			},
			repair: func(*testing.T) { streams["flooded"].odd.Store(false); odd.Store(false) }},
		{name: "stuck key", stream: streams["stuck"], says: []string{`(?m)^stuck-u4 .* (backoff|attempt) +\d+ of 1000000 .*500`}, redrives: true,
			strike: func(*testing.T) {
				var which atomic.Int64
				streams["stuck"].answers(func(d gameDelivery) int {
					if d.user == "stuck-u4" && !mended.Load() && (which.CompareAndSwap(0, int64(d.n)) || which.Load() == int64(d.n)) {
						return http.StatusInternalServerError
					}
					return http.StatusOK
				})
			},
			repair: edit(main, "stuck", webhook("stuck", "stuck", sites["stuck"], ", retry: {initial: 200ms, max: 1s, attempts: 3}")),
			later: func(t *testing.T) {
				waitFor(t, time.Minute, "the stuck event to be given up", func() bool {
					_, code, err := main.shell("stuck").run(t.Context(), `eventserver poison counts --destination "$DEST" --check --admin "$ADMIN"`)
					return err == nil && code == 1
				})
				mended.Store(true)
			}},
		{name: "slow", stream: streams["slow"], says: []string{`(?m)^slow +running +\d{4,} .* 8/8 .* busy: 8 attempts are under way`},
			strike: func(*testing.T) { streams["slow"].crowd.Store(20) },
			repair: edit(main, "slow", webhook("slow", "slow", sites["slow"], ", concurrency: 256"))},
	}, {
		{name: "config mistake", stream: streams["audit"], whole: true,
			says: []string{`(?m)^audit +running `, `by SIGHUP failed`, `eventserver.yaml:\d+: destinations\[0\].*concurency`, `eventserver.yaml:\d+: destinations\[3\].*ftp`},
			strike: func(t *testing.T) {
				h := edge.lines["fine"]
				edge.destination("audit", webhook("audit", "audit", sites["audit"], ", concurency: 128"))
				edit(edge, "fine", strings.Replace(h, "http://", "ftp://", 1))(t)
				edge.destination("fine", h)
				edge.process.signal(syscall.SIGHUP)
			},
			repair: edit(edge, "audit", webhook("audit", "audit", sites["audit"], ", concurrency: 128"))},
		{name: "full disk", stream: streams["disk"], says: []string{`breaker open`, disk.says}, file: disk.path,
			strike: disk.fill, repair: disk.free},
		{name: "broker down", stream: streams["mirror"], whole: true, shared: true, says: []string{`(?m)^mirror .* the broker has not answered since `, regexp.QuoteMeta(kafka.addr)},
			strike: func(*testing.T) { kafka.deaf.Store(true); kafka.wires.cutSome(1) },
			repair: func(*testing.T) { kafka.deaf.Store(false) }},
	}}
	var wg sync.WaitGroup
	played := 0
	for i, lane := range lanes {
		h := []*house{main, edge}[i]
		played += len(lane)
		wg.Go(func() {
			for _, in := range lane {
				in.house = h
				t.Run(in.name, func(t *testing.T) { g.run(t, in) })
			}
		})
	}
	wg.Wait()
	if len(g.table) != played || played != 10 {
		t.Errorf("%d incidents in the table, %d played", len(g.table), played)
	}
	for _, h := range []*house{main, edge} {
		for _, line := range h.crashes() {
			t.Error(line)
		}
	}
}
