package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fenced = regexp.MustCompile("(?ms)^ *```[^\n]*\n(.*?)^ *```$")
	inline = regexp.MustCompile("`([^`\n]+)`")
	// called is a command line of the program, up to what a shell does with it.
	called = regexp.MustCompile(`(?:^|[\s(/:])eventserver ([^&|;>#<)\n]+)`)
	aFlag  = regexp.MustCompile(`^--([a-z][a-z-]*)`)
)

// commandLines are those of the program that a document shows: its code.
func commandLines(text string) []string {
	var out []string
	for _, m := range fenced.FindAllStringSubmatch(text, -1) {
		out = append(out, called.FindAllString(m[1], -1)...)
	}
	for _, m := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		out = append(out, called.FindAllString(m[1], -1)...)
	}
	return out
}

// Every command and flag that a document shows is there.
func TestDocumentedCommands(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, name := range everyCommand(commands(), "") {
		all[name] = true
	}
	help := map[string]string{}
	checked := 0
	for _, file := range append(files, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandLines(string(text)) {
			_, args, _ := strings.Cut(line, "eventserver ")
			words := strings.Fields(args)
			if len(words) == 0 || !regexp.MustCompile(`^(-|[a-z]+$)`).MatchString(words[0]) {
				continue // COMMAND, or the name of an image or a file
			}
			name, group := defaultCommand, false
			switch {
			case strings.HasPrefix(words[0], "-"):
			case len(words) > 1 && all[words[0]+" "+words[1]]:
				name = words[0] + " " + words[1]
			case all[words[0]]:
				name = words[0]
			default:
				if c, ok := find(commands(), words[0]); !ok || c.run != nil || len(words) > 1 && aFlag.MatchString(words[1]) {
					t.Errorf("%s: there is no command in %q", file, line)
				}
				group = true
			}
			checked++
			for _, w := range words {
				m := aFlag.FindStringSubmatch(w)
				if m == nil || group || m[1] == "help" || m[1] == "version" {
					continue
				}
				if help[name] == "" {
					if help[name], err = shell(t, append(strings.Fields(name), "--help")...); err != nil {
						t.Fatal(err)
					}
				}
				if !regexp.MustCompile(`--` + m[1] + `\b`).MatchString(help[name]) {
					t.Errorf("%s: %s has no flag --%s: %q", file, name, m[1], line)
				}
			}
		}
	}
	if checked < 150 {
		t.Errorf("only %d command lines were found", checked)
	}
}
