package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// smallDisk has room for so many bytes. A write that does not fit is done in part,
// as the system does it.
type smallDisk struct {
	vfs.FS
	left atomic.Int64
}

func (s *smallDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if s.left.Load() <= 0 {
		return nil, &noRoom{"create", name}
	}
	f, err := s.FS.Create(name, c)
	return smallFile{f, s}, err
}

func (s *smallDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.ReuseForWrite(from, to, c)
	return smallFile{f, s}, err
}

// noRoom is what the system says of a full disk.
type noRoom struct{ op, name string }

func (e *noRoom) Error() string { return e.op + " " + e.name + ": " + syscall.ENOSPC.Error() }
func (e *noRoom) Unwrap() error { return syscall.ENOSPC }

type smallFile struct {
	vfs.File
	disk *smallDisk
}

func (f smallFile) Write(p []byte) (int, error) {
	n := int64(len(p))
	left := f.disk.left.Add(-n)
	if left >= 0 {
		return f.File.Write(p)
	}
	fits := max(n+left, 0)
	f.disk.left.Add(n - fits)
	m, err := f.File.Write(p[:fits])
	return m, errors.Join(err, &noRoom{"write", ""})
}

func TestFullDiskWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &smallDisk{FS: vfs.NewMem()}
		disk.left.Store(100)
		states := make(chan error, 1)
		fs := newFullFS(disk, "data", func(cause error) { states <- cause }, noError(t))
		must(t, disk.MkdirAll("data", 0o700))
		must(t, disk.MkdirAll("database", 0o700))
		f, err := fs.Create("data/a", vfs.WriteCategoryUnspecified)
		must(t, err)
		want := bytes.Repeat([]byte("0123456789"), 25)
		written := make(chan error, 1)
		go func() {
			_, err := f.Write(bytes.Clone(want))
			written <- err
		}()
		if cause := <-states; !errors.Is(cause, syscall.ENOSPC) {
			t.Errorf("full: %v", cause)
		}
		if _, err := fs.Create("database/b", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("elsewhere it waits: %v", err)
		}
		disk.left.Store(50) // not enough yet
		synctest.Wait()
		disk.left.Store(1000)
		must(t, <-written)
		if cause := <-states; cause != nil {
			t.Errorf("with room again: %v", cause)
		}
		must(t, f.Close())
		g, err := fs.Open("data/a")
		must(t, err)
		got, err := io.ReadAll(g)
		must(t, errors.Join(err, g.Close()))
		if !bytes.Equal(got, want) {
			t.Errorf("written %q", got)
		}
	})
}

func TestFullDiskGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &smallDisk{FS: vfs.NewMem()}
		full := make(chan error, 10)
		fs := newFullFS(disk, "data", func(cause error) { full <- cause }, noError(t))
		must(t, disk.MkdirAll("data", 0o700))
		created := make(chan error, 1)
		go func() {
			_, err := fs.Create("data/a", vfs.WriteCategoryUnspecified)
			created <- err
		}()
		<-full
		fs.giveUp()
		fs.giveUp()
		if err := <-created; !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("given up: %v", err)
		}
		if _, err := fs.Create("data/b", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("later: %v", err)
		}
		disk.left.Store(100)
		f, err := fs.Create("data/c", vfs.WriteCategoryUnspecified)
		must(t, err)
		fs.kill()
		if _, err := f.Write([]byte("x")); !errors.Is(err, errKilled) {
			t.Errorf("a write after the lock was given back: %v", err)
		}
	})
}

// Pebble writes its log, tables and manifest while the disk is full again and again,
// and is none the worse.
func TestPebbleOutlivesAFullDisk(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.left.Store(1 << 20)
	var fulls atomic.Int64
	room := make(chan struct{}, 1)
	fs := newFullFS(disk, "data", func(cause error) {
		if cause != nil {
			fulls.Add(1)
			room <- struct{}{}
		}
	}, noError(t))
	open := func(fs vfs.FS) *pebble.DB {
		db, err := pebble.Open("data", &pebble.Options{FS: fs, MemTableSize: 256 << 10, FormatMajorVersion: pebble.FormatNewest, Logger: failing{t}})
		must(t, err)
		return db
	}
	db := open(fs)
	stopped := make(chan struct{})
	go func() { // the operator
		defer close(stopped)
		for range room {
			disk.left.Add(200 << 10)
		}
	}()
	const n = 300
	for i := range n {
		must(t, db.Set(fmt.Appendf(nil, "key%03d", i), bytes.Repeat([]byte{byte(i)}, 8<<10), pebble.Sync))
	}
	must(t, db.Flush())
	must(t, db.Close())
	close(room)
	<-stopped
	if n := fulls.Load(); n < 3 {
		t.Errorf("the disk was full %d times: not much of a test", n)
	}
	db = open(disk.FS)
	for i := range n {
		v, c, err := db.Get(fmt.Appendf(nil, "key%03d", i))
		must(t, err)
		if len(v) != 8<<10 || v[0] != byte(i) {
			t.Errorf("key %d is not what was stored", i)
		}
		must(t, c.Close())
	}
	must(t, db.Close())
}

// failing is a Pebble log where a fatal error fails the test.
type failing struct{ t *testing.T }

func (failing) Infof(string, ...any)  {}
func (failing) Errorf(string, ...any) {}
func (f failing) Fatalf(format string, args ...any) {
	f.t.Errorf(format, args...)
	select {}
}

func noError(t *testing.T) func(error) {
	return func(err error) { t.Errorf("a write-ahead log: %v", err) }
}
