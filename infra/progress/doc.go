// Package progress knows what a consumer group has done of a partition: Tracker
// follows one owner's reading, Codec writes it into the text of an infra.Position
// and reads it again.
//
// It may import infra and the standard library.
package progress
