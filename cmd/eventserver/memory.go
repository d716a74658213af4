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
	needed := int64(cfg.Memory) + baseMemory + destinationMemory*int64(len(cfg.Destinations))
	most, err := container()
	if err != nil { // there is none, or the system has no such thing
		return needed
	}
	limit := int64(containerShare * float64(most))
	if limit < needed {
		log.Warn("the container may be killed for want of memory: give it more, or set memory lower",
			slog.Int64("limit_bytes", int64(most)), slog.String("memory", cfg.Memory.String()),
			slog.Int64("needed_bytes", int64(float64(needed)/containerShare)))
		return limit
	}
	return needed
}

// containerLimit is what the process's control group may take.
func containerLimit() (uint64, error) { return memlimit.FromCgroup() }
