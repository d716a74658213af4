package local

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"eventserver/infra"
)

// readCountFS counts the bytes that are read of files.
type readCountFS struct {
	vfs.FS
	read atomic.Int64
}

func (r *readCountFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := r.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return readCountFile{f, r}, nil
}

type readCountFile struct {
	vfs.File
	fs *readCountFS
}

func (f readCountFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.fs.read.Add(int64(n))
	return n, err
}

func (f readCountFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.fs.read.Add(int64(n))
	return n, err
}

// A start reads the write-ahead logs twice, and of the tables no more than it is told
// to, however much there is to deliver. It also read what the compactions read that
// its replay of the logs brought about, and waited for them.
func TestStartReadsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 80 MiB")
	}
	dir := t.TempDir()
	l := open(t, Config{Dir: dir, NoSync: true}, "events", "dest.a")
	l.compactions.forbid() // so that the start has some to do
	random := rand.NewChaCha8([32]byte{})
	const batches, values, size = 160, 512, 1 << 10
	for n := range batches { // 80 MiB
		var b infra.Batch
		for i := range values {
			r := benchRecord([]string{"events", "dest.a"}[i%2], int32((n+i)%8))
			r.Value = make([]byte, size)
			_, _ = random.Read(r.Value)
			b.Records = append(b.Records, r)
		}
		must(t, l.Append(t.Context(), b))
	}
	killed := copyOf(t, dir)
	must(t, l.Close())

	const verify = 1 << 20
	const most = verify + 2*4*memTableBytes + 4<<20 // both reads of the logs, and the indexes of tables
	for after, dir := range map[string]string{"kill -9": killed, "stop": dir} {
		fs := &readCountFS{FS: vfs.Default}
		l := open(t, Config{Dir: dir, fs: fs, verify: verify})
		read := fs.read.Load()
		must(t, l.Close())
		t.Logf("after a %s: %d MiB read of %d MiB", after, read>>20, batches*values*size>>20)
		if read > most {
			t.Errorf("after a %s the start read %d bytes, at most %d are needed", after, read, most)
		}
	}
}
