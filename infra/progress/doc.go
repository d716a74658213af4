// Package progress records what a consumer group has done of a partition. Tracker tracks
// it for one owner. Codec writes it into the text of an infra.Position, and reads it.
//
// It may import infra and the standard library.
package progress
