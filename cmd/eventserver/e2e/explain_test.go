package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/cmd/eventserver/e2e/harness"
	"eventserver/router/explain"
)

// The real program, asked by the real command: what one finds out on call.
func TestExplainEndToEnd(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch key := r.Header.Get("Event-Key"); {
		case r.URL.Path == "/down":
			w.WriteHeader(http.StatusServiceUnavailable)
		case key == "stuck":
			w.WriteHeader(http.StatusInternalServerError)
		case key == "refused":
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer receiver.Close()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	bin, dir, addr, api := harness.Program(t), t.TempDir(), harness.FreeAddr(t), harness.FreeAddr(t)
	write := func(name, adminAddr string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(fmt.Sprintf(`http: {addr: %q}
admin: {addr: %q}
broker: {kind: kafka, brokers: [%q], instance_id: eventserver, partitions: 4}
destinations:
  - {id: crm, kind: webhook, url: %q, allow_private: true, retry: {initial: 1h, max: 1h}}
  - {id: orders, kind: webhook, url: %q, allow_private: true, types: [order.*]}
  - {id: paid, kind: webhook, url: %q, allow_private: true, filter: "event.type == 'paid'"}
  - {id: down, kind: webhook, url: %q, allow_private: true, breaker: {initial: 1h, max: 1h}}
`, addr, adminAddr, cluster.ListenAddrs()[0], receiver.URL, receiver.URL, receiver.URL, receiver.URL+"/down")), 0o600))
		return path
	}
	config := write("eventserver.yaml", api)
	cmd := exec.CommandContext(context.Background(), bin, "serve", "--config", config)
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	})
	url := "http://" + addr
	awaitReady(t, url)

	// Nothing of it has an id: the server gives them ULIDs.
	accept := func(user string, n int) (ids []string) {
		for range n {
			resp, err := http.Post(url+"/v1/events", "application/json", strings.NewReader(fmt.Sprintf(`{"userId":%q,"type":"signup"}`, user)))
			require.NoError(t, err)
			var answer struct {
				ID string `json:"id"`
			}
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.NoError(t, json.Unmarshal(body, &answer))
			require.NotEmpty(t, answer.ID, "%s", body)
			ids = append(ids, answer.ID)
		}
		return ids
	}
	asked := func(args ...string) (string, string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bin, append([]string{"explain"}, args...)...)
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			return "", fmt.Sprintf("%v: %s", err, said.String())
		}
		return out.String(), said.String()
	}
	until := func(id, destination, state string) explain.DestinationExplanation {
		t.Helper()
		var d explain.DestinationExplanation
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
			out, said := asked(id, "--admin", "http://"+api, "--destination", destination, "--json")
			var e explain.Explanation
			if said == "" && assert.NoError(t, json.Unmarshal([]byte(out), &e)) && len(e.Destinations) == 1 {
				if d = e.Destinations[0]; d.State == state {
					return d
				}
			}
		}
		t.Fatalf("%s at %s is never %s: %+v", id, destination, state, d)
		return d
	}

	stuck := accept("stuck", 2)
	refused, fine := accept("refused", 1)[0], accept("fine", 1)[0]
	assert.Equal(t, 1, until(stuck[0], "crm", explain.StateRetrying).Attempts)
	waiting := until(stuck[1], "crm", explain.StateWaiting)
	require.NotNil(t, waiting.Behind)
	assert.Equal(t, stuck[0], waiting.Behind.EventID)
	assert.Equal(t, "permanent", until(refused, "crm", explain.StatePoisoned).Reason)
	assert.Contains(t, until(fine, "orders", explain.StateFiltered).Why, `its types (order.*) have no "signup"`)
	assert.Contains(t, until(fine, "paid", explain.StateFiltered).Why, "its filter is false")
	assert.False(t, until(fine, "crm", explain.StateDelivered).DeliveredAt.IsZero())
	held := until(fine, "down", explain.StateBreaker)
	assert.Contains(t, held.Why, "breaker open until ")

	until(stuck[1], "orders", explain.StateFiltered) // its partition's commits are half a second apart
	until(stuck[1], "paid", explain.StateFiltered)

	text, said := asked(stuck[1], "--config", config)
	assert.Empty(t, said)
	for _, want := range []string{
		"event " + stuck[1] + "\n  accepted ", ", type signup, key stuck, topic events/",
		"\ncrm: WAITING\n  why: it waits behind event " + stuck[0] + " of the same user: attempt 1 of 10 failed (", "; the next is at ",
		"\n  next: " + stuck[0] + " goes on at ", "\n  do: fix the receiver",
		"\norders: NOT WANTED\n", "\npaid: NOT WANTED\n", "\ndown: ",
	} {
		assert.Contains(t, text, want)
	}
	t.Log(text)

	// From the cluster alone: another configuration, which has no admin API.
	text, said = asked(stuck[1], "--config", write("off.yaml", "off"), "--destination", "crm")
	assert.Contains(t, said, "the admin API is off in --config")
	assert.Contains(t, said, "reading the broker alone")
	assert.Contains(t, text, "crm: WAITING\n  why: it waits behind event "+stuck[0]+" of the same user, which is not done")
	assert.Contains(t, text, "instance eventserver at 127.0.0.1")
	assert.Contains(t, text, "do: eventserver explain "+stuck[0]+" --destination crm --key stuck")

	for want, args := range map[string][]string{
		"exit status 2: eventserver: write: eventserver explain EVENT_ID":                                                                       {},
		"exit status 2: eventserver: --since: \"noon\" is neither a time such as":                                                               {"x", "--since", "noon"},
		"exit status 1: eventserver: http://" + api + " answered 404: event \"order-17\" not found in the topics of this server: all 4 records": {"order-17", "--admin", "http://" + api},
		"not found in the topics of this server":                                                                                                {"order-17", "--key", "nobody", "--admin", "http://" + api},
		"exit status 2: eventserver: http://" + api + " answered 400: destin":                                                                   {fine, "--destination", "x", "--admin", "http://" + api},
	} {
		_, said := asked(args...)
		assert.Contains(t, said, want)
		if !strings.Contains(want, "exit status 2") {
			assert.Contains(t, said, "exit status 1")
		}
	}
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("the server is never ready")
}
