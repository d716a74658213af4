// Package kafka is the log on Apache Kafka, or on what speaks its protocol. It stands
// on the franz-go client.
//
// It implements infra.Log and nothing above it: infra/pubsub makes Watermill's
// Publisher and Subscriber of it.
//
// # Files
//
//	config.go  Config, the clients' options     auth.go     how to authenticate
//	log.go     Open, Close, Ping                metadata.go partitions and their leaders
//	topics.go  topics and their partitions      check.go    what existing topics must be
//	bounds.go  where partitions begin and end   append.go   storing records
//	cursor.go  a place in a partition           fetch.go    reading behind the live end
//	follow.go  polling the live ends            tail.go     the live end of a partition
//	own.go     what this process appends
//	owner.go   the one membership of a process  lease.go    how long it holds, by our clock
//	claims.go  what its members have marked     open.go     where claims begin
//	commit.go  progress                         mark.go     what a commit says
//	groups.go  looking at groups, setting back  observe.go  what a metric is made of
//
// # Connections
//
// Three clients: one produces, commits, reads what is behind and asks; one waits at the
// live ends; one is the member of the group of owners. To a broker each has a
// connection for each kind of request, so that their number does not grow with the
// destinations.
//
// # Order of locks
//
// followers.mu, then tail.mu. members.mu, then that of infra/shares. commits.mu, fetches.mu, topics.mu and producer.mu
// stand alone. None is held over input or output, nor while a function of
// the caller's runs; producer.mu is held while records are given to the client, whose
// full buffer holds up all that append.
//
// It may import infra, infra/progress, infra/shares, franz-go, golang.org/x/oauth2 and AWS' SDK. It knows
// nothing of events.
package kafka
