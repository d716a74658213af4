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
//	queue.go    what waits for the committer     cursor.go   reading
//	commit.go   the committer: group commit      tail.go     the newest records, in memory
//	publish.go  the end of a commit              trim.go     deleting old records
//	groups.go   progress of consumer groups      members.go  members of groups (infra/shares)
//	dir.go      a locked, private directory      format.go   what a directory is
//	held.go     whether it is still there
//	mark.go     how far the log was written      verify.go   files held against each other
//	damage.go   damage met while it runs         diskfull.go waiting for room
//	passover.go what a reader is given of it     salvager.go  damaged tables, while it runs
//	checksum.go large blocks, before Pebble
//	repair.go   a copy of what can be read       gather.go   what can be read, of any file
//	hole.go     where records were lost          salvage*.go a damaged log, a damaged table
//	backup.go   a copy of a log that runs
//	topicfile.go the names of the topics, once more
//	compactions.go when Pebble may compact
//	reclaim.go  the room of what was trimmed, while a log idles
//
// # Damage
//
// Pebble by itself stores less than it was given when files of its are gone or cut:
// it takes a missing write-ahead log for one that never was, a damaged newest one for
// the trace of a crash, and a damaged manifest for its end, and deletes what that does
// not name. So every batch has a number, the mark says which was the last, and Open
// changes nothing before it has found every batch and table (verify.go). What it
// refuses names the file and the cure.
//
// While the log runs, one damaged block keeps Pebble from reading records of other
// tables, which stand where that block has a gap. So a reader that meets damage is
// given what the tables hold, one by one (salvager.go), and what is in memory. Only
// what is in neither is passed over and named.
//
// # Order of locks
//
// groups.mu, then queue.mu, then partition.mu. None is held over input or output, nor
// while a function of the caller's runs.
//
// It may import infra, infra/shares, Pebble and the standard library.
package local
