package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"eventserver/infra"
)

func (s *smallDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.FS.OpenReadWrite(name, c, opts...) // the mark needs no room
}

// fillUp appends until the disk is full, and returns what was accepted.
func fillUp(t *testing.T, l *Log) (accepted []string) {
	t.Helper()
	for i := range 10000 {
		value := fmt.Sprint(i, strings.Repeat(" payload", 500))
		err := l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, value)}})
		if err == nil {
			accepted = append(accepted, value)
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("of a full disk: %v", err)
		}
		return accepted
	}
	t.Fatal("the disk never got full")
	return nil
}

// wantAccepted checks that everything accepted is there, in order; what was refused
// may be there too.
func wantAccepted(t *testing.T, l *Log, accepted []string) {
	t.Helper()
	i := 0
	for _, r := range readAll(t, l, "a", 0, 0) {
		if i < len(accepted) && string(r.Value) == accepted[i] {
			i++
		}
	}
	if i < len(accepted) {
		t.Errorf("%d of %d accepted records are there", i, len(accepted))
	}
}

func TestFullDiskIsAnErrorUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.left.Store(1 << 20)
	l := open(t, Config{Dir: "data", Partitions: 1, fs: disk, Fatal: func(err error) { t.Error(err) }}, "a")
	var accepted []string
	for range 3 {
		accepted = append(accepted, fillUp(t, l)...)
		if err := l.Ping(t.Context()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("ping of a full disk: %v", err)
		}
		if err := l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, "x")}}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("append to a full disk: %v", err)
		}
		wantAccepted(t, l, accepted)
		disk.left.Add(1 << 20)
		wait(t, "room", func() bool { return l.Ping(t.Context()) == nil })
	}
	put(t, l, "a", 0, "last")
	accepted = append(accepted, "last")
	wantAccepted(t, l, accepted)
	must(t, l.Close())
	l = open(t, l.cfg)
	wantAccepted(t, l, accepted)
}

// A full disk does not keep a server from ending, and takes nothing that was
// accepted. Pebble's goroutines stay in the error for ever, so it is a process of its own.
func TestFullDiskAndClose(t *testing.T) {
	const env = "LOCAL_TEST_FULL_DISK"
	if os.Getenv(env) != "" {
		fullDiskAndClose(t)
		os.Exit(map[bool]int{true: 1}[t.Failed()]) // before goleak looks
	}
	t.Parallel()
	ownProcess(t, "TestFullDiskAndClose", env+"=1")
}

func fullDiskAndClose(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.left.Store(1 << 20)
	l := open(t, Config{Dir: "data", Partitions: 1, fs: disk, Fatal: func(err error) { t.Error(err) }}, "a")
	accepted := fillUp(t, l)
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close: %v", err)
	}
	disk.left.Store(20 << 20)
	l = open(t, l.cfg)
	wantAccepted(t, l, accepted)
}

// wait polls until a condition holds.
func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after a minute there is no %s", what)
		}
	}
}

// Lock is none: Pebble never gives it back when its log is dead.
func (s *smallDisk) Lock(string) (io.Closer, error) { return noLock{}, nil }
