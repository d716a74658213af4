package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// An operator at the shell: what is wrong, a pause, a replay, a reload by signal
// and by API, all with the real program.
func TestSteerFromTheShell(t *testing.T) {
	bin, dir := harness.Program(t), t.TempDir()
	file, sent := filepath.Join(dir, "eventserver.yaml"), filepath.Join(dir, "out.ndjson")
	addr, api := harness.FreeAddr(t), harness.FreeAddr(t)
	write := func(more string) {
		text := fmt.Sprintf("http: {addr: %q}\nadmin: {addr: %q}\nbroker: {dir: %q, partitions: 2}\ndestinations:\n  - {id: out, kind: file, path: %q}\n%s", addr, api, filepath.Join(dir, "data"), sent, more)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	crm := fmt.Sprintf("  - {id: crm, kind: webhook, url: %q, allow_private: true}\n", "http://"+harness.FreeAddr(t)+"/x")
	write(crm)
	s := &harness.Server{Instance: "one", Bin: bin, Config: file, Addr: addr, Quiet: true, Log: filepath.Join(dir, "log")}
	p := s.Start(t)
	shell := func(code int, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), bin, append(args, "--admin", "http://"+api)...).CombinedOutput()
		got := 0
		if err != nil {
			got = err.(*exec.ExitError).ExitCode()
		}
		if got != code {
			t.Errorf("%v ended with %d, want %d\n%s", args, got, code, out)
		}
		return string(out)
	}
	shows := func(pattern string, args ...string) {
		t.Helper()
		var out string
		harness.WaitFor(t, 30*time.Second, strings.Join(args, " ")+" to show "+pattern, func() bool {
			out = shell(0, args...)
			return regexp.MustCompile(pattern).MatchString(out)
		})
	}
	says := func(out, pattern string) {
		t.Helper()
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("got %q, want %s", out, pattern)
		}
	}
	for n := range 20 {
		resp, err := http.Post("http://"+addr+"/v1/events", "application/json", strings.NewReader(fmt.Sprintf(`{"userId":"u%d","n":%d}`, n%3, n)))
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
	}
	shows(`(?m)^crm +running +20 +\d+s +open .* 0 +breaker open.*connection refused`, "destinations")
	shows(`(?m)^out +running +0 +- +closed .* 0 +-$`, "destinations")
	shell(0, "destinations", "out", "--check")
	says(shell(1, "destinations", "--check"), `(?m)^eventserver: crm: breaker open.*connection refused`)
	says(shell(1, "destinations", "crm", "--check", "--max-lag", "19"), `(?m)crm: 20 events wait, more than 19`)
	shows(`(?s)KEY +FOR +EVENT.*\nu0 .* breaker .* \d of 10 .*connection refused`, "destinations", "crm") // it may be between two probes

	says(shell(0, "pause", "crm", "--why", "it moves"), `crm is paused`)
	shows(`(?m)^crm +paused .* paused by local since .*Z: it moves$`, "destinations")
	says(shell(1, "pause", "crmm"), `there is no destination "crmm"; the configuration has out, crm`)
	shell(2, "pause")
	says(shell(0, "destinations", "crm"), `(?s)state +paused.*why +paused by local.*20 records in topic dest.crm`)
	var one struct {
		ID     string
		Paused struct{ By, Why string }
	}
	if err := json.Unmarshal([]byte(shell(0, "destinations", "crm", "--json")), &one); err != nil || one.ID != "crm" || one.Paused.Why != "it moves" {
		t.Errorf("%+v, %v", one, err)
	}
	says(shell(0, "resume", "crm"), `crm goes on \(ended: pause\)`)
	says(shell(0, "resume", "crm"), `crm was not paused or held`)
	shows(`crm is asked again now \(ended: the pause of its breaker`, "retry", "crm") // it may be between two probes
	says(shell(0, "retry", "out", "--key", "u1"), `out: nothing waited`)
	says(shell(1, "retry", "crmm"), `there is no destination "crmm"`)

	lines := func() int {
		b, _ := os.ReadFile(sent)
		return strings.Count(string(b), "\n")
	}
	says(shell(1, "replay", "out", "--since", "1h"), `(?s)20 events are transformed again.*add --yes`)
	says(shell(0, "replay", "out", "--since", "1h", "--dry-run", "--json"), `"events": 20`)
	shell(2, "replay", "out", "--since", "yesterday")
	says(shell(0, "replay", "out", "--since", "1h", "--yes"), `out was set back by 20 events`)
	harness.WaitFor(t, 30*time.Second, "the events to come again", func() bool { return lines() == 40 })

	write("  - {id: new, kind: file, path: " + sent + ".new}\n") // crm goes
	p.Signal(syscall.SIGHUP)
	shows(`(?m)^new +running`, "destinations")
	says(shell(0, "destinations"), `\n\ncrm is not in the configuration and still holds 20 events that it was not sent, and 0 items in its poison queue\n`)
	says(shell(1, "forget", "crm"), `(?s)20 events would be lost; .*nothing was changed; add --yes`)
	says(shell(1, "forget", "out", "--yes"), `out is in the configuration`)
	says(shell(1, "forget", "crmm", "--yes"), `there is no destination "crmm"`)
	write("  - {id: new, kind: fil}\n")
	says(shell(1, "reload"), `nothing has changed: .*eventserver.yaml:6: destinations\[1\].kind: "fil" is not a kind`)
	says(shell(0, "destinations"), `(?s)the reload of the configuration by local failed \ds ago; nothing of the file.*eventserver.yaml:6: destinations`)
	says(shell(1, "destinations", "--check"), `(?m)the last reload of the configuration failed`)
	write(crm)
	says(shell(0, "reload"), `(?s)added: crm\nremoved: new\n1 destination was not touched`)
	shows(`(?m)^crm +running +20 `, "destinations")                // it goes on where it was
	says(shell(1, "destinations", "--check"), `crm: breaker open`) // and nothing of a reload
	p.Terminate()
	log, _ := os.ReadFile(s.Log)
	says(string(log), `msg="configuration reloaded" by=SIGHUP added=\[new\] changed=\[\] removed=\[crm\] unchanged=1 undelivered=map\[crm:20\]`)
	says(string(log), `operation=replay-destination by=local status=200 destination=out`)
	says(string(log), `operation=retry-destination by=local status=200 destination=out one_user=true`)
	says(string(log), `msg="destination is unavailable; its events wait" destination=crm cause=.*connection refused`)
	if n := lines(); n != 40 {
		t.Errorf("%d lines, want 40", n)
	}
}
