package local

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions starts Pebble's compactions, but none before the log is open. Pebble's Open
// waits for every compaction that its replay of the write-ahead log causes, which takes
// seconds with many undelivered events.
type compactions struct {
	db pebble.DBForCompaction

	mu      sync.Mutex
	allowed bool // the log is open
	running int
	grants  sync.WaitGroup // calls of grant
}

var (
	_ pebble.CompactionScheduler   = (*compactions)(nil)
	_ pebble.CompactionGrantHandle = (*compactions)(nil)
)

// allow is called once the log is open.
func (c *compactions) allow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allowed = true
	c.grantSoon()
}

// forbid is the opposite. Running compactions continue.
func (c *compactions) forbid() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allowed = false
}

// Register implements pebble.CompactionScheduler.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister implements pebble.CompactionScheduler.
func (c *compactions) Unregister() {
	c.forbid()
	c.grants.Wait()
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.allowed || c.running >= c.db.GetAllowedWithoutPermission() {
		return false, nil
	}
	c.running++
	return true, c
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (c *compactions) UpdateGetAllowedWithoutPermission() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grantSoon()
}

// Done implements pebble.CompactionGrantHandle.
func (c *compactions) Done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.grantSoon()
}

// Started implements pebble.CompactionGrantHandle.
func (*compactions) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (*compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (*compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// grantSoon starts waiting compactions. It uses a goroutine because Pebble's locks come
// before mu, which is held.
func (c *compactions) grantSoon() {
	if c.allowed && c.running < c.db.GetAllowedWithoutPermission() {
		c.grants.Go(c.grant)
	}
}

func (c *compactions) grant() {
	for {
		if waiting, _ := c.db.GetWaitingCompaction(); !waiting {
			return
		}
		ok, _ := c.TrySchedule()
		if !ok {
			return
		}
		if !c.db.Schedule(c) { // another took the slot, and a new one was refused meanwhile
			c.mu.Lock()
			c.running--
			c.mu.Unlock()
		}
	}
}
