// Package embedded is a broker inside this process: a single-node cluster that
// speaks Kafka's protocol on a loopback port and keeps its records under a
// directory, read and written by the same infra/kafka code as a real cluster.
//
// It may import infra, infra/kafka and the embedded cluster (kfake).
package embedded
