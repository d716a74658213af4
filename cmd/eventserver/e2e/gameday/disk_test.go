package gameday_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk is a disk that can be filled up: a tmpfs where the test may mount
// one, and otherwise a limit on the size of the files of a process, which writes
// no other file than the one on this disk.
type smallDisk struct {
	path string // of the file that the destination writes
	says string // what a write says when the disk is full
	pid  int    // of the process, when it runs
	tmp  bool
}

func newSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := &smallDisk{path: filepath.Join(dir, "events.ndjson"), says: "file too large"}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Logf("the full disk is a limit on the size of files: a tmpfs cannot be mounted here: %v %s", err, out)
		return d
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v %s", dir, err, out)
		}
	})
	t.Log("the full disk is a tmpfs of 4 MiB")
	d.tmp, d.says = true, "no space left on device"
	return d
}

func (d *smallDisk) filler() string { return filepath.Join(filepath.Dir(d.path), "filler") }

// fill leaves no room.
func (d *smallDisk) fill(t *testing.T) {
	t.Helper()
	if !d.tmp {
		info, err := os.Stat(d.path)
		if err != nil {
			t.Fatal(err)
		}
		d.limit(t, fmt.Sprint(info.Size()))
		return
	}
	f, err := os.Create(d.filler())
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(errors.Join(err, f.Close()), syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// free is the operator, who makes room.
func (d *smallDisk) free(t *testing.T) {
	t.Helper()
	if !d.tmp {
		d.limit(t, "unlimited")
	} else if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}

// limit sets the soft limit, which nobody needs a privilege for.
func (d *smallDisk) limit(t *testing.T, size string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "prlimit", "--pid", fmt.Sprint(d.pid), "--fsize="+size+":").CombinedOutput(); err != nil {
		t.Fatalf("prlimit: %v %s", err, out)
	}
}
