package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"eventserver/app/config"
)

const (
	// ballast counts as live for the collector, which therefore lets the heap grow
	// by that much more before it collects. What is really live is small, so that
	// the collector otherwise took a quarter of the server's CPU. Its pages are
	// never touched: they take no memory. GOGC and GOMEMLIMIT replace it.
	ballast = 64 << 20

	// What the heap takes beside the configuration's memory: programs, buffers, the
	// broker's blocks, and what each destination has when nothing happens. The
	// program itself, 40 to 55 MiB of it, and stacks come to it.
	baseMemory        = 32 << 20
	destinationMemory = 256 << 10

	// residentMemory is what the whole process takes beside the configuration's memory,
	// where each destination has nothing to do (TestChaosLargeEvents holds it to that).
	residentMemory = 150 << 20

	// containerShare is what of a container's limit the collector may use. The rest
	// is for what it does not count, such as the disk's pages.
	containerShare = 0.9
)

// collectorIsSet reports whether who runs the program has told the collector what to
// do.
func collectorIsSet() bool { return os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" }

// limitMemory has the collector work harder when the heap comes near to what the
// process may take: the configuration's memory and what it needs beside it, or the
// container's limit if that is less.
func limitMemory(cfg *config.Config, container func() (uint64, error), log *slog.Logger) {
	if collectorIsSet() {
		return
	}
	debug.SetMemoryLimit(memoryLimit(cfg, container, log) + ballast)
}

func memoryLimit(cfg *config.Config, container func() (uint64, error), log *slog.Logger) int64 {
	known := int64(cfg.Memory) + destinationMemory*int64(len(cfg.Destinations))
	most, err := container()
	if err != nil { // there is none, or the system has no such thing
		return known + baseMemory
	}
	if needed := known + residentMemory; int64(most) < needed {
		log.Warn("the container may be killed for want of memory: give it more, or set memory lower",
			slog.Int64("limit_bytes", int64(most)), slog.String("memory", cfg.Memory.String()), slog.Int64("needed_bytes", needed))
	}
	return min(known+baseMemory, int64(containerShare*float64(most)))
}

// containerLimit is what the process's control group may take.
func containerLimit() (uint64, error) { return memlimit.FromCgroup() }
