package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Set by the linker, for builds that Go knows no repository of:
//
//	go build -ldflags "-X eventserver/app/version.release=v1.2.3 -X eventserver/app/version.commit=$(git rev-parse HEAD)" ./cmd/eventserver
var release, commit string

// Devel is the Version of a build that is no release.
const Devel = "devel"

// Info is one build.
type Info struct {
	Version  string     `json:"version"`          // v1.2.3, or Devel
	Commit   string     `json:"commit,omitempty"` // "": the build does not know
	Modified bool       `json:"modified"`         // the files were not those of Commit
	Time     *time.Time `json:"time,omitempty"`   // of Commit; nil: the build does not know
	Go       string     `json:"go"`
	Platform string     `json:"platform"`
}

// Get is the build that runs.
func Get() Info {
	build, _ := debug.ReadBuildInfo()
	return of(build, release, commit)
}

// of reads what the linker was given first, then what Go noted. build may be nil.
func of(build *debug.BuildInfo, release, commit string) Info {
	i := Info{Version: release, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if build == nil {
		i.Version = cmp.Or(i.Version, Devel)
		return i
	}
	if commit == "" { // otherwise the rest is of another commit, or of none
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				i.Commit = s.Value
			case "vcs.modified":
				i.Modified = s.Value == "true"
			case "vcs.time":
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					i.Time = &t
				}
			}
		}
	}
	// Between two tags Go makes up a version that holds the commit again.
	if v := build.Main.Version; i.Version == "" && v != "(devel)" && !strings.HasPrefix(v, "v0.0.0-") {
		i.Version = v
	}
	i.Version = cmp.Or(i.Version, Devel)
	return i
}

// String is the build on one line.
func (i Info) String() string {
	what := "commit unknown"
	if i.Commit != "" {
		what = "commit " + i.Commit
	}
	if i.Modified {
		what += " with changes"
	}
	return fmt.Sprintf("%s (%s, %s, %s)", i.Version, what, i.Go, i.Platform)
}

// Product names the server in a User-Agent or a Server header.
func (i Info) Product() string { return "eventserver/" + strings.TrimPrefix(i.Version, "v") }
