// Package control keeps what operators did to destinations: pauses, replays
// under way, attempts that were wanted at once. The records are in a topic of the broker, so that they survive a
// restart and every instance goes by the same.
//
// A record's key is the destination, so those of one destination are in order;
// the last of a kind and destination wins. Records of destinations that are not
// in the configuration stay: they hold again when the destination comes back.
//
// It may import infra and Watermill. What a record does is package app's affair.
package control
