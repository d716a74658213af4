package app

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What names one file twice, or a topic that is not there, can never work.
func TestSharedFilesAndUnknownTopics(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := errors.Join(os.Mkdir("real", 0o700), os.Symlink("real", "link")); err != nil {
		t.Fatal(err)
	}
	files := func(paths ...string) string {
		s := "destinations:\n"
		for i, p := range paths {
			s += "- {id: d" + string(rune('a'+i)) + ", kind: file, path: " + p + "}\n"
		}
		return s
	}
	const one = "destinations: [{id: log, kind: log}]\n"
	for _, c := range []struct {
		text        string
		check, load []string // parts of the faults, in order
	}{
		{text: files("a.ndjson", "b.ndjson", "real/a.ndjson")},
		{text: files("a.ndjson", "./x/../a.ndjson"), check: []string{"destinations[1].path: is that of destinations[0] already"}, load: []string{"already"}},
		{text: files("b", "real/a", dir+"/link/a", "link/a"), check: []string{"destinations[2].path: is that of destinations[1]", "destinations[3].path: is that of destinations[1]"}, load: []string{"", ""}},
		{text: one + "broker: {topics: {events: a, control: b, dest.log: c, poison.log: d, dest.removed: e}}\n"},
		{text: one + "broker: {topics: {evnts: x}}\n", check: []string{`broker.topics.evnts: the server has no topic of this name; did you mean "events"?`}, load: []string{"events"}},
		{text: one + "broker: {topics: {dst.log: x, 'dest.': y, other: z}}\n", check: []string{"write one of events, control, dest.ID, poison.ID", `did you mean "dest.log"?`, "broker.topics.other: "}, load: []string{"", "", ""}},
		// A destination that was removed keeps its entry, so only check asks.
		{text: one + "broker: {topics: {dest.lgo: x}}\n", check: []string{`there is no destination "lgo"; did you mean "dest.log"?`}},
		{text: one + "broker: {topics: {dest.log: x, dest.logs: y}}\n"},
	} {
		path := filepath.Join(dir, "es.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, check := Check(path, Options{})
		_, load := Load(path, Options{})
		for _, got := range []struct {
			err  error
			want []string
		}{{check, c.check}, {load, c.load}} {
			var lines []string
			if got.err != nil {
				lines = strings.Split(got.err.Error(), "\n")
			}
			if !slices.EqualFunc(lines, got.want, strings.Contains) {
				t.Errorf("%s\ngot %q\nwant %q", c.text, lines, got.want)
			}
		}
	}
}
