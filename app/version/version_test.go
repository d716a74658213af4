package version

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	vcs := func(version string, settings ...string) *debug.BuildInfo {
		b := &debug.BuildInfo{Main: debug.Module{Version: version}}
		for i := 0; i < len(settings); i += 2 {
			b.Settings = append(b.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return b
	}
	for name, c := range map[string]struct {
		build           *debug.BuildInfo
		release, commit string
		want, product   string
	}{
		"no information":      {nil, "", "", "devel (commit unknown, ", "eventserver/devel"},
		"go run":              {vcs("(devel)"), "", "", "devel (commit unknown, ", "eventserver/devel"},
		"-buildvcs=false":     {vcs(""), "", "", "devel (commit unknown, ", "eventserver/devel"},
		"go build":            {vcs("v0.0.0-20260101000000-abcdefabcdef", "vcs.revision", "abc", "vcs.modified", "false"), "", "", "devel (commit abc, ", "eventserver/devel"},
		"with changes":        {vcs("v0.0.0-20260101000000-abcdefabcdef+dirty", "vcs.revision", "abc", "vcs.modified", "true"), "", "", "devel (commit abc with changes, ", "eventserver/devel"},
		"at a tag":            {vcs("v1.2.3", "vcs.revision", "abc", "vcs.modified", "false"), "", "", "v1.2.3 (commit abc, ", "eventserver/1.2.3"},
		"behind a tag":        {vcs("v1.2.4-0.20260101000000-abcdefabcdef"), "", "", "v1.2.4-0.20260101000000-abcdefabcdef (commit unknown, ", "eventserver/1.2.4-0.20260101000000-abcdefabcdef"},
		"by the linker":       {vcs("(devel)"), "v2.0.0", "def", "v2.0.0 (commit def, ", "eventserver/2.0.0"},
		"the linker wins":     {vcs("v1.2.3", "vcs.revision", "abc", "vcs.modified", "true"), "", "def", "v1.2.3 (commit def, ", "eventserver/1.2.3"},
		"release by linker":   {vcs("v1.2.3", "vcs.revision", "abc", "vcs.modified", "false"), "v9", "", "v9 (commit abc, ", "eventserver/9"},
		"linker without info": {nil, "v9", "def", "v9 (commit def, ", "eventserver/9"},
	} {
		got := of(c.build, c.release, c.commit)
		if !strings.HasPrefix(got.String(), c.want) || got.Product() != c.product {
			t.Errorf("%s: %s, %s", name, got, got.Product())
		}
	}
}

// The linker sets the release and the commit.
func TestLinkerNames(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := filepath.Join(t.TempDir(), "es")
	flags := "-X eventserver/app/version.release=v7.8.9 -X eventserver/app/version.commit=c0ffee"
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", flags, "-o", bin, "eventserver/cmd/eventserver").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, arg := range []string{"version", "--version"} {
		out, err := exec.CommandContext(t.Context(), bin, arg).Output()
		if err != nil || !strings.HasPrefix(string(out), "eventserver v7.8.9 (commit c0ffee, go") {
			t.Errorf("%s: %s, %v", arg, out, err)
		}
	}
}

// The Dockerfile sets the names of this package.
func TestDockerfileSetsTheVersion(t *testing.T) {
	docker, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"-X eventserver/app/version.release=$VERSION", "-X eventserver/app/version.commit=$COMMIT"} {
		if !strings.Contains(string(docker), name) {
			t.Errorf("the Dockerfile does not set %s", name)
		}
	}
}
