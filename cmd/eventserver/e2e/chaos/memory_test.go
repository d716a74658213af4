package chaos_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// memory is that of the servers' configurations, and beside it what a process may
// have resident: its program, stacks, the broker's caches, and what the collector
// has not collected yet.
const (
	memory = 256 << 20
	beside = 150 << 20
)

// peakMemory is the most memory that the processes of one server had resident.
type peakMemory struct{ most atomic.Int64 }

// watchMemory holds a server to its bound when the test ends. One with the race
// detector takes several times as much, and is not held to it.
func watchMemory(t *testing.T, instance string, race bool) *peakMemory {
	r := &peakMemory{}
	t.Cleanup(func() {
		if most := r.most.Load(); most > memory+beside && !race {
			t.Errorf("server %s had %d MiB resident; memory is %d MiB, and %d MiB may come to it", instance, most>>20, memory>>20, beside>>20)
		}
	})
	return r
}

// watch samples until the process has ended. The kernel keeps the peak, so that
// none is missed but that of the last moments of a process that is killed.
// What it says at the end (getrusage) begins with the peak of the test's own process.
func (r *peakMemory) watch(pid int, ended <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			r.most.Store(max(r.most.Load(), residentPeak(pid)))
		}
	}
}

// residentPeak is the peak of a running process as Linux counts it, in bytes; 0: unknown.
func residentPeak(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(peak, &kib)
	return kib << 10
}

// The checker sees the peak of a process, and not what it has at the moment.
func TestPeakResident(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("only Linux tells the peak of another process")
	}
	before := residentPeak(os.Getpid())
	touched := make([]byte, before+64<<20)
	for i := 0; i < len(touched); i += 4096 {
		touched[i] = 1
	}
	if after := residentPeak(os.Getpid()); before == 0 || after < int64(len(touched)) {
		t.Errorf("the peak was %d, and is %d after %d bytes were written to", before, after, len(touched))
	}
}
