package local

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// TestDeadDisk: after an error of the disk every call returns it and nothing hangs,
// whoever met it first: the committer, the wait for the disk, a flush. Pebble's
// goroutines stay in that error for ever, so each case has a process of its own.
func TestDeadDisk(t *testing.T) {
	const env = "LOCAL_TEST_DEAD_DISK"
	if fault := os.Getenv(env); fault != "" {
		deadDisk(t, fault)
		os.Exit(map[bool]int{true: 1}[t.Failed()]) // before goleak looks
	}
	t.Parallel()
	for _, fault := range []string{"write log", "sync log", "create log", "write MANIFEST", "sync MANIFEST", "write mark"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			ownProcess(t, "TestDeadDisk", env+"="+fault)
		})
	}
}

// ownProcess runs a test in a process of its own, with a variable of the environment.
func ownProcess(t *testing.T, test, variable string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	child.Env = append(os.Environ(), variable)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func deadDisk(t *testing.T, fault string) {
	what, where, _ := strings.Cut(fault, " ")
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		kinds := map[string][]errorfs.OpKind{
			"write":  {errorfs.OpFileWrite, errorfs.OpFileWriteAt},
			"sync":   {errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
			"create": {errorfs.OpCreate, errorfs.OpReuseForWrite},
		}
		for _, k := range kinds[what] {
			if broken.Load() && k == op.Kind && (strings.Contains(op.Path, where) && where != "log" || where == "log" && strings.HasSuffix(op.Path, ".log")) {
				return syscall.EIO
			}
		}
		return nil
	}))
	fatal := make(chan error, 10)
	l, err := Open(Config{Dir: "data", fs: fs, Fatal: func(err error) { fatal <- err }})
	require.NoError(t, err)
	require.NoError(t, l.CreateTopics(t.Context(), infra.Topic{Name: "a"}))
	put(t, l, "a", 0, "before")
	c, err := l.Open(t.Context(), "a", 0, 1)
	require.NoError(t, err)
	_, err = c.Read(t.Context(), 1)
	require.NoError(t, err)

	broken.Store(true)
	big := strings.Repeat("x", 1<<20) // fills a memtable soon, so that a flush is due
	var running sync.WaitGroup
	for w := range 4 {
		running.Go(func() {
			for {
				d := infra.Durability(w % 2)
				if err := l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 1, big)}, Durability: d}); err != nil {
					assert.ErrorIs(t, err, syscall.EIO)
					return
				}
			}
		})
	}
	running.Wait()
	require.ErrorIs(t, <-fatal, syscall.EIO)
	<-c.More()
	_, err = c.Read(t.Context(), 1)
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorIs(t, l.Ping(t.Context()), syscall.EIO)
	require.ErrorIs(t, l.Keep(t.Context(), infra.Progressed{Group: "g", Topic: "a"}), syscall.EIO)
	require.ErrorIs(t, l.Trim(t.Context(), "a", map[int32]int64{0: 1}), syscall.EIO)
	require.ErrorIs(t, l.Close(), syscall.EIO)
	select {
	case err := <-fatal:
		require.Fail(t, "told twice", "%v", errors.Unwrap(err))
	default:
	}
}
