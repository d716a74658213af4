// Package local is the broker in this process: topics, records and progress in
// Pebble (github.com/cockroachdb/pebble/v2), in a directory or in memory. It has
// no port. One implementation serves both: memory is Pebble on an in-memory file
// system, without a write-ahead log.
//
// It implements infra.Log and nothing above it: infra/pubsub makes Watermill's
// Publisher and Subscriber of it.
//
// # Files
//
//	log.go      Config, Open, Close, Ping        codec.go    keys and values
//	options.go  how Pebble is set up             topics.go   topics and their partitions
//	queue.go    requests to the committer        cursor.go   reading
//	commit.go   the committer: group commit      tail.go     the newest records, in memory
//	partition.go a partition, after a commit     trim.go     deleting old records
//	append.go   storing records                  load.go     reading the state at Open
//	groups.go   progress of consumer groups      members.go  members of groups (infra/shares)
//	dir.go      a locked, private directory      format.go   the format of a directory
//	guardedfs.go whether the directory still exists
//	mark.go     how far the log was written      verify.go   comparing the files at Open
//	damage.go   damage found while it runs       diskfull.go waiting for room
//	passover.go reading past damage              salvager.go damaged tables, while it runs
//	checksum.go checksums of large blocks
//	repair.go   a copy of the readable records   gather.go   reading damaged files
//	hole.go     lost records                     salvage*.go a damaged log, a damaged table
//	backup.go   a copy of a running log
//	topicfile.go a second copy of the topic names
//	compactions.go when Pebble may compact
//	reclaim.go  space of trimmed records, while a log is idle
//
// # Damage
//
// Pebble opens a directory with missing or cut files, and silently loses their records. A
// missing write-ahead log is one that never existed for it, a damaged newest one the trace
// of a crash, and a damaged manifest the end of the manifest, and it deletes tables that
// are not in it. So every batch has a number, and the mark has the last one. Open finds
// every batch and table before it changes anything (verify.go). Its error names the file
// and the cure.
//
// While the log runs, a damaged block hides records of other tables from Pebble, where
// they fill a gap of that block. So a reader that meets damage reads the tables one by one
// (salvager.go), and the records in memory. Only records that are in neither are passed
// over, and named.
//
// # Order of locks
//
// groups.mu, then queue.mu, then partition.mu. None is held over input or output, nor
// while a function of the caller runs.
//
// It may import infra, infra/shares, Pebble and the standard library.
package local
