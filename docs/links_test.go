package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are the documents by their paths from the root of the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md")
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[path.Join("docs", f)] = string(b)
	}
	if len(out) < 15 {
		t.Fatalf("only %d documents were found", len(out))
	}
	return out
}

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	code    = regexp.MustCompile("`[^`\n]+`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// anchors are the anchors of a page's headings, as GitHub makes them.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := link.ReplaceAllString(m[1], "")
		name = dropped.ReplaceAllString(strings.ToLower(name), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}

// Every relative link of a document leads to a file that exists, and to a heading in it.
func TestLinks(t *testing.T) {
	all := pages(t)
	links := 0
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(fence.ReplaceAllString(text, ""), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(m[1], "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("%s: a link to %s, which does not exist", name, m[1])
				continue
			}
			page, ok := all[to]
			if anchor != "" && (!ok || !anchors(page)[anchor]) {
				t.Errorf("%s: a link to %s, and %s has no such heading", name, m[1], to)
			}
		}
	}
	if links < 60 {
		t.Errorf("only %d links were found", links)
	}
}

// sources are the Go files of the repository, by path and by name alone.
func sources(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		p = filepath.ToSlash(strings.TrimPrefix(p, ".."+string(filepath.Separator)))
		if d.IsDir() {
			out[p+"/"] = true
		} else if strings.HasSuffix(p, ".go") {
			out[p], out[path.Base(p)] = true, true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The files and packages that architecture.md, design.md and CONTRIBUTING.md name
// exist. A name without a directory stands for a file of the package that the text is
// about.
func TestNamedFilesExist(t *testing.T) {
	all, known := pages(t), sources(t)
	file := regexp.MustCompile("(?:^|[`( ])((?:[a-z_]+/)*[A-Za-z_]+\\.go)\\b")
	pkg := regexp.MustCompile("`((?:app|router|infra|destinations|cmd|metrics)/[a-z/]+)`")
	for _, name := range []string{"docs/architecture.md", "docs/design.md", "CONTRIBUTING.md"} {
		found := 0
		for _, m := range file.FindAllStringSubmatch(all[name], -1) {
			if found++; !known[m[1]] && !strings.Contains(m[1], "NAME") {
				t.Errorf("%s names %s, which does not exist", name, m[1])
			}
		}
		for _, m := range pkg.FindAllStringSubmatch(all[name], -1) {
			if found++; !known[strings.TrimSuffix(m[1], "/")+"/"] {
				t.Errorf("%s names the package %s, which does not exist", name, m[1])
			}
		}
		if found < 10 {
			t.Errorf("%s: only %d names were found", name, found)
		}
	}
}

// A function that a document names with its file ("`guard` in `app/ingest/intake.go`")
// is in that file.
func TestNamedFunctionsExist(t *testing.T) {
	named := regexp.MustCompile("`(?:[A-Za-z]+\\.)?([A-Za-z]+)`\\s+(?:in|of)\\s+`?((?:[a-z]+/)+[a-z]+\\.go)")
	found := 0
	for name, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			found++
			file, err := os.ReadFile(filepath.Join("..", m[2]))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !regexp.MustCompile(`(?m)^func (\([^)]+\) )?` + m[1] + `[\[(]`).Match(file) {
				t.Errorf("%s: %s has no function %s", name, m[2], m[1])
			}
		}
	}
	if found < 12 {
		t.Errorf("only %d functions were found", found)
	}
}

// The files that a package's doc.go names are in the package.
func TestPackageDocsNameFiles(t *testing.T) {
	file := regexp.MustCompile(`(?:[a-z]+/)*[a-z_]+\.go\b`)
	found := 0
	for name := range sources(t) {
		if path.Base(name) != "doc.go" || name == "doc.go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range file.FindAllString(string(text), -1) {
			found++
			if _, err := os.Stat(filepath.Join("..", path.Dir(name), f)); err != nil {
				t.Errorf("%s names %s, which does not exist", name, f)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d files were found", found)
	}
}

// architecture.md has every package of the program.
func TestMapOfPackages(t *testing.T) {
	text := pages(t)["docs/architecture.md"]
	found := 0
	for name := range sources(t) {
		root, _, _ := strings.Cut(name, "/")
		if path.Base(name) != "doc.go" || !strings.Contains(" app cmd destinations infra metrics router ", " "+root+" ") {
			continue
		}
		if found++; !strings.Contains(text, "`"+path.Dir(name)+"`") {
			t.Errorf("docs/architecture.md does not have the package %s", path.Dir(name))
		}
	}
	if found < 30 {
		t.Errorf("only %d packages were found", found)
	}
}

// Every target of make that a document names is in the Makefile.
func TestMakeTargets(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(?m)(?:^|`| )make ([a-z-]+(?: [a-z-]+)*)(?:$|`| +#| [A-Z])")
	found := 0
	for name, text := range pages(t) {
		if name == "CHANGELOG.md" {
			continue // also of older releases
		}
		code := strings.Join(append(fence.FindAllString(text, -1), code.FindAllString(text, -1)...), "\n")
		for _, m := range named.FindAllStringSubmatch(code, -1) {
			for _, target := range strings.Fields(m[1]) {
				if found++; !regexp.MustCompile(`(?m)^` + target + `:`).Match(makefile) {
					t.Errorf("%s: there is no target of make %s", name, target)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d targets were found", found)
	}
}
