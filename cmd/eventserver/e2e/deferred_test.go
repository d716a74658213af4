package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventserver/app/admin"
	"eventserver/cmd/eventserver/e2e/harness"
	"eventserver/router/explain"
)

// A user had more events than the window takes of one key, at a receiver that was
// down: `destinations ID` counted those in the window alone, sixteen of thousands.
func TestDeferredEventsAreCounted(t *testing.T) {
	t.Parallel()
	const windowKey, queued = 4, 40
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer down.Close()
	bin, addr, api := harness.Program(t), harness.FreeAddr(t), harness.FreeAddr(t)
	config := filepath.Join(t.TempDir(), "eventserver.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `http: {addr: %q}
admin: {addr: %q}
broker: {kind: memory, window_messages: 20, window_key: %d}
destinations: [{id: crm, kind: webhook, url: %q, allow_private: true, retry: {initial: 1h, max: 1h, max_age: 24h}}]
`, addr, api, windowKey, down.URL), 0o600))
	server := exec.CommandContext(t.Context(), bin, "serve", "--config", config)
	var log bytes.Buffer
	server.Stderr = &log
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Wait() }) // the test's context has ended
	awaitReady(t, "http://"+addr)

	ids := make([]string, queued)
	events := make([]string, queued)
	for i := range ids {
		ids[i] = fmt.Sprintf("e%02d", i)
		events[i] = fmt.Sprintf(`{"id":%q,"type":"t","userId":"ada"}`, ids[i])
	}
	resp, err := http.Post("http://"+addr+"/v1/events", "application/json", strings.NewReader("["+strings.Join(events, ",")+"]"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode)

	eventserver := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), bin, append(args, "--admin", "http://"+api)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	var crm admin.DestinationState
	require.Eventually(t, func() bool {
		require.NoError(t, json.Unmarshal([]byte(eventserver("destinations", "crm", "--json")), &crm))
		return crm.Buffered == windowKey && len(crm.Stuck) == 1 && crm.Stuck[0].Attempts == 1 && crm.Stuck[0].Waiting >= queued-1
	}, 30*time.Second, 20*time.Millisecond, "the deferred ones are not counted: %+v", &crm)
	require.Equal(t, queued-1, crm.Stuck[0].Waiting)
	require.Regexp(t, fmt.Sprintf(`(?m)^ada .* e00 .* %d +webhook answered 503`, queued-1), eventserver("destinations", "crm"))

	last := ids[queued-1]
	var e explain.Explanation
	require.NoError(t, json.Unmarshal([]byte(eventserver("explain", last, "--json")), &e))
	require.Len(t, e.Destinations, 1)
	require.EqualValues(t, queued-1, e.Destinations[0].Ahead)
	require.Equal(t, "e00", e.Destinations[0].Behind.EventID)
	require.Contains(t, eventserver("explain", last), fmt.Sprintf("(%d events of this user are before it)", queued-1))
}
