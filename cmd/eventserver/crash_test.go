package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// oracle plays the clients and the receivers, and knows what was promised.
type oracle struct {
	srv *httptest.Server

	mu         sync.Mutex
	seen       map[string]int // destination/user/n: times
	next       map[string]int // destination/user: the last first delivery
	breaks     []string
	duplicates int
	reposted   int // stored twice: the client got no answer and sent again
	first      int
}

func newOracle(t *testing.T) *oracle {
	o := &oracle{seen: map[string]int{}, next: map[string]int{}}
	o.srv = httptest.NewServer(o)
	t.Cleanup(o.srv.Close)
	return o
}

func (o *oracle) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var e struct {
		User string `json:"userId"`
		N    int    `json:"n"`
	}
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		return
	}
	stream := r.URL.Path + "/" + e.User
	o.mu.Lock()
	defer o.mu.Unlock()
	id := fmt.Sprintf("%s/%d", stream, e.N)
	o.seen[id]++
	stored := id + "@" + r.Header.Get("Event-Sequence")
	o.seen[stored]++
	if o.seen[id] > 1 {
		if o.seen[stored] > 1 {
			o.duplicates++
		} else {
			o.reposted++
		}
		return
	}
	o.first++
	if e.N != o.next[stream]+1 {
		o.breaks = append(o.breaks, fmt.Sprintf("%s came after %d", id, o.next[stream]))
	}
	o.next[stream] = e.N
}

func (o *oracle) firsts() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first
}

// binary builds the real program once for the test.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "eventserver")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// process is one running eventserver.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	done chan error
}

// server is how to start one again and again.
type server struct {
	bin, config, addr string
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// newServer writes the configuration: two destinations at the oracle.
func newServer(t *testing.T, bin, broker string, o *oracle) server {
	t.Helper()
	s := server{bin: bin, addr: freeAddr(t), config: filepath.Join(t.TempDir(), "eventserver.yaml")}
	yaml := fmt.Sprintf("http: {addr: %q}\nbroker: %s\ndestinations:\n", s.addr, broker)
	for _, id := range []string{"one", "two"} {
		yaml += fmt.Sprintf("  - {id: %s, kind: webhook, url: %q, allow_private: true}\n", id, o.srv.URL+"/"+id)
	}
	if err := os.WriteFile(s.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// start returns when the server is ready.
func (s server) start(t *testing.T) *process {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), s.bin, "--config", s.config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, addr: s.addr, done: make(chan error, 1)}
	accepting := make(chan struct{})
	var lines sync.WaitGroup
	lines.Go(func() {
		var once sync.Once
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			if strings.Contains(sc.Text(), "accepting events") {
				once.Do(func() { close(accepting) })
			} else {
				fmt.Fprintln(t.Output(), sc.Text())
			}
		}
	})
	go func() { lines.Wait(); p.done <- cmd.Wait() }()
	t.Cleanup(p.kill)
	select {
	case <-accepting:
	case err := <-p.done:
		p.done <- err
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("the server did not start within 30 s")
	}
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	err := <-p.done
	p.done <- err
}

// terminate stops gracefully; it must end well.
func (p *process) terminate() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := <-p.done
	p.done <- err
	if err != nil {
		p.t.Errorf("after SIGTERM: %v", err)
	}
}

// post sends one event until it is accepted; it returns false when ctx ended first.
func post(ctx context.Context, addrs []string, user string, n int) bool {
	body := fmt.Sprintf(`{"id":"%s-%d","userId":"%s","n":%d}`, user, n, user, n)
	for try := 0; ctx.Err() == nil; try++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addrs[try%len(addrs)]+"/v1/events", strings.NewReader(body))
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusAccepted {
				return true
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond): // the server is down or refuses: a client waits a little
		}
	}
	return false
}

// load posts for every user until stop is called, which returns how many
// events were accepted in all.
func load(t *testing.T, users int, addrs ...string) (stop func() int) {
	stopped := make(chan struct{})
	accepted := make([]int, users)
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stopped: // between two events: a request that is cut may or may not be stored
					return
				default:
				}
				if post(t.Context(), addrs, fmt.Sprintf("u%d", u), n) {
					accepted[u] = n
				}
			}
		})
	}
	return func() int {
		close(stopped)
		wg.Wait()
		total := 0
		for _, n := range accepted {
			total += n
		}
		return total
	}
}

// settle waits until the oracle has had n first deliveries, and judges.
func (o *oracle) settle(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for o.firsts() < n && time.Now().Before(deadline) {
		<-time.After(50 * time.Millisecond) // the receivers give no other signal
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first != n {
		t.Errorf("lost: %d of %d deliveries came", o.first, n)
	}
	for i, b := range o.breaks {
		if i == 5 {
			break
		}
		t.Errorf("order: %s", b)
	}
	t.Logf("delivered %d, lost %d, order breaks %d, duplicates %d, stored twice by a client's retry %d",
		o.first, n-o.first, len(o.breaks), o.duplicates, o.reposted)
}

// clusters are the brokers that outlive a killed server.
func clusters(t *testing.T) map[string]string {
	kf, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kf.Close)
	all := map[string]string{"kfake": kafkaYAML(kf.ListenAddrs())}
	if addrs := os.Getenv("EVENTSERVER_TEST_KAFKA"); addrs != "" {
		all["kafka"] = kafkaYAML(strings.Split(addrs, ","))
	}
	return all
}

func kafkaYAML(addrs []string) string {
	list, _ := json.Marshal(addrs)
	return fmt.Sprintf(`{kind: kafka, brokers: %s, topic_prefix: "t%d.", instance_id: INSTANCE, session_timeout: 6s, partitions: 4}`, list, time.Now().UnixNano())
}

// A server that is killed at any time and started again has lost nothing that
// it accepted, and every user's events still come in order.
func TestKilledTenTimes(t *testing.T) {
	bin := binary(t)
	all := clusters(t)
	all["embedded"] = fmt.Sprintf("{kind: embedded, dir: %q, partitions: 4}", filepath.Join(t.TempDir(), "data"))
	for name, broker := range all {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t)
			s := newServer(t, bin, strings.ReplaceAll(broker, "INSTANCE", "a"), o)
			p := s.start(t)
			stop := load(t, 16, s.addr)
			for range 10 {
				mark := o.firsts()
				for deadline := time.Now().Add(20 * time.Second); o.firsts() < mark+200; { // it works before it is killed
					if time.Now().After(deadline) {
						t.Fatal("nothing is delivered after a kill and a restart")
					}
					<-time.After(10 * time.Millisecond)
				}
				p.kill()
				p = s.start(t)
			}
			n := stop()
			o.settle(t, 2*n)
			p.terminate()
		})
	}
}

// Two servers share the partitions; when one is killed the other takes over.
func TestOneOfTwoKilled(t *testing.T) {
	bin := binary(t)
	for name, broker := range clusters(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t)
			a := newServer(t, bin, strings.ReplaceAll(broker, "INSTANCE", "a"), o)
			b := newServer(t, bin, strings.ReplaceAll(broker, "INSTANCE", "b"), o)
			pa, pb := a.start(t), b.start(t)
			stop := load(t, 16, a.addr, b.addr)
			for o.firsts() < 500 {
				<-time.After(10 * time.Millisecond)
			}
			pb.kill()
			mark := o.firsts()
			for deadline := time.Now().Add(30 * time.Second); o.firsts() < mark+500 && time.Now().Before(deadline); {
				<-time.After(10 * time.Millisecond)
			}
			n := stop()
			o.settle(t, 2*n)
			pa.terminate()
		})
	}
}

// Two processes with one instance id would throw each other out of their groups
// for ever: the one that is thrown out says so and stops.
func TestSameInstanceID(t *testing.T) {
	bin := binary(t)
	for name, broker := range clusters(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t)
			first := newServer(t, bin, strings.ReplaceAll(broker, "INSTANCE", "same"), o).start(t)
			second := newServer(t, bin, strings.ReplaceAll(broker, "INSTANCE", "same"), o).start(t)
			select {
			case err := <-first.done:
				first.done <- err
				if err == nil {
					t.Error("the first ended without an error")
				}
			case <-time.After(30 * time.Second):
				t.Error("the first goes on beside the second")
			}
			second.terminate()
		})
	}
}

// A graceful restart under load cuts nothing: no delivery comes twice.
func TestRestartsUnderLoad(t *testing.T) {
	o := newOracle(t)
	s := newServer(t, binary(t), fmt.Sprintf("{kind: embedded, dir: %q, partitions: 4}", filepath.Join(t.TempDir(), "data")), o)
	p := s.start(t)
	stop := load(t, 16, s.addr)
	for range 5 {
		mark := o.firsts()
		for o.firsts() < mark+200 {
			<-time.After(10 * time.Millisecond)
		}
		p.terminate()
		p = s.start(t)
	}
	n := stop()
	o.settle(t, 2*n)
	if o.duplicates != 0 || o.reposted != 0 {
		t.Errorf("over graceful restarts %d duplicates, %d stored but refused", o.duplicates, o.reposted)
	}
	p.terminate()
}
