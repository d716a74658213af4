package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// programs are the built ones, by the flags of the build.
var programs = struct {
	mu    sync.Mutex
	dir   string
	built map[string]string
}{built: map[string]string{}}

// Main is TestMain of a package whose tests call Program.
func Main(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// Program is the path of the built program, or skips the test with -short. It is
// built once, without cgo as the image is: with cgo, the broker's blocks are in C
// memory, of which libc keeps what was freed.
func Program(t *testing.T, flags ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the program: make check")
	}
	programs.mu.Lock()
	defer programs.mu.Unlock()
	key := strings.Join(flags, " ")
	if path := programs.built[key]; path != "" {
		return path
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "eventserver-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		programs.dir = dir
	}
	path := filepath.Join(programs.dir, fmt.Sprint(len(programs.built)), "eventserver")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, flags...), "./cmd/eventserver")...)
	cmd.Dir = Root(t)
	if len(flags) == 0 { // the race detector needs it
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	programs.built[key] = path
	return path
}

// Root is the directory of the module.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = filepath.Dir(dir)
	}
}

// File is the path of a file of the module.
func File(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(Root(t), filepath.FromSlash(name))
}
