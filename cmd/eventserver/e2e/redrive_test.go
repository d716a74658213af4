package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/cmd/eventserver/e2e/harness"
)

// refusing is a receiver that answers 422 until it is repaired, and counts what it
// took then.
type refusing struct {
	repaired atomic.Bool
	mu       sync.Mutex
	took     map[string]int // times, by delivery id
	order    map[string][]string
	odd      []string // redriven and not told so, or the other way round
}

func (r *refusing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !r.repaired.Load() {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := req.Header.Get("Delivery-Id")
	if r.took[id]++; r.took[id] == 1 {
		key := req.Header.Get("Event-Key")
		r.order[key] = append(r.order[key], req.Header.Get("Event-Id"))
	}
	if req.Header.Get("Delivery-Redrives") != "1" {
		r.odd = append(r.odd, id)
	}
}

func (r *refusing) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.took)
}

// A redrive by a command is killed in the middle. Others are refused while it
// may still be there; then one of them does the rest, and no event comes twice.
func TestRedriveIsKilled(t *testing.T) {
	const users, each = 20, 50
	to := &refusing{took: map[string]int{}, order: map[string][]string{}}
	receiver := httptest.NewServer(to)
	defer receiver.Close()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	bin, dir, addr := harness.Program(t), t.TempDir(), harness.FreeAddr(t)
	path := filepath.Join(dir, "eventserver.yaml")
	yaml := fmt.Sprintf("http: {addr: %q}\nadmin: {addr: \"off\"}\nbroker: {kind: kafka, brokers: [%q]}\ndestinations:\n- {id: shop, kind: webhook, url: %q, allow_private: true, concurrency: 32, flood_guard: 0}\n",
		addr, cluster.ListenAddrs()[0], receiver.URL)
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := exec.CommandContext(t.Context(), bin, "--config", path)
	stderr, err := srv.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Process.Kill(); _ = srv.Wait() }()
	accepting := make(chan struct{})
	go func() {
		var once sync.Once
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			if strings.Contains(sc.Text(), "accepting events") {
				once.Do(func() { close(accepting) })
			}
		}
	}()
	select {
	case <-accepting:
	case <-time.After(60 * time.Second):
		t.Fatal("the server did not start")
	}
	for n := range each {
		var items []string
		for u := range users {
			items = append(items, fmt.Sprintf(`{"id":"u%d-%d","userId":"u%d","n":%d}`, u, n, u, n))
		}
		resp, err := http.Post("http://"+addr+"/v1/events", "application/json", strings.NewReader("["+strings.Join(items, ",")+"]"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	command := func(args ...string) (string, string, error) {
		var out, said bytes.Buffer
		cmd := exec.CommandContext(t.Context(), bin, append([]string{"poison"}, append(args, "--config", path)...)...)
		cmd.Stdout, cmd.Stderr = &out, &said
		err := cmd.Run()
		return out.String(), said.String(), err
	}
	count := func() int {
		out, said, err := command("counts", "--json")
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		var c struct{ Count int }
		if err := json.Unmarshal([]byte(out), &c); err != nil {
			t.Fatal(err)
		}
		return c.Count
	}
	harness.WaitFor(t, time.Minute, "all to be given up", func() bool { return count() == users*each })

	to.repaired.Store(true)
	victim := exec.CommandContext(t.Context(), bin, "poison", "redrive", "--destination", "shop", "--rate", "200", "--config", path)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, time.Minute, "the redrive to be under way", func() bool { return to.total() > users*each/5 })
	if _, said, err := command("redrive", "--all"); err == nil || !strings.Contains(said, "is under way since") {
		t.Errorf("a second one at the same time: %v, %s", err, said)
	}
	_ = victim.Process.Kill()
	_ = victim.Wait()
	if _, said, err := command("discard", "--all", "--yes"); err == nil || !strings.Contains(said, "one that was killed gives way after 30s") {
		t.Errorf("a discard after the kill: %v, %s", err, said)
	}
	if n := to.total(); n >= users*each {
		t.Fatalf("it was killed too late: %d were redriven", n)
	}
	var out, said string
	harness.WaitFor(t, time.Minute, "a redrive to be let through", func() bool {
		out, said, err = command("redrive", "--all", "--rate", "0", "--json")
		return err == nil
	})
	harness.WaitFor(t, time.Minute, "all to be delivered", func() bool { return to.total() == users*each })
	if n := count(); n != 0 {
		t.Errorf("%d items are not settled\n%s%s", n, out, said)
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	for id, n := range to.took {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
	for user, ids := range to.order {
		for n, id := range ids {
			if id != fmt.Sprintf("%s-%d", user, n) {
				t.Fatalf("%s: %s came as number %d", user, id, n)
			}
		}
	}
	if len(to.odd) > 0 {
		t.Errorf("%d without Delivery-Redrives: 1", len(to.odd))
	}
}
