// Package config reads the server's YAML file strictly: an unknown key, a
// wrong type, a missing or impossible value is a fault, and every fault of the
// file is reported at once with its file, line, YAML path and cure.
//
// Load and Parse return the effective configuration with all defaults filled
// in, or *Faults. The keys of a destination's kind are decoded by the kind
// itself through Settings.Decode, so this package knows no kind. The struct
// tags are the only description of the keys: defaults, limits and the
// reference in docs/config.md all come from them.
//
// Package strict reads the file. It imports strict, the YAML parser, the memory of
// app/ingest/budget and package destinations (for Secret). What does not belong here:
// reading a file (strict), building brokers, destinations or servers from the
// configuration (package app), and compiling CEL.
package config
