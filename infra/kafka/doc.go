// Package kafka is the log on Apache Kafka, or on another server with its protocol. It
// uses the franz-go client.
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
//	tail.go    the live end of a partition      followers.go  polling the live ends
//	ownrecords.go  records of this process
//	owner.go   the one membership of a process  lease.go    its end, by our clock
//	claims.go  members of groups, their claims  open.go     where claims begin
//	commit.go  progress                         mark.go     the content of a commit
//	groups.go  reading and resetting groups     observe.go  metrics of the clients
//
// # Connections
//
// There are three clients. One produces, commits, reads behind the live ends and asks. One
// waits at the live ends. One is the member of the group of owners. Each has one
// connection to a broker per kind of request. So their number does not grow with the
// destinations.
//
// # Order of locks
//
// followers.mu, then tail.mu. members.mu, then that of infra/shares. commits.mu,
// fetches.mu, topics.mu and producer.mu are never held with another. None is held over
// input or output, nor while a function of the caller runs. The exception is producer.mu,
// which is held while records are given to the client: a full buffer of the client makes
// every Append wait.
//
// It may import infra, infra/progress, infra/shares, franz-go, golang.org/x/oauth2 and the
// AWS SDK. It knows nothing about events.
package kafka
