// Package shares says which member of a group has which partition, among the members
// that there are in this process and the partitions that this process owns. A log gives
// it the two: Join adds a member, Own says what is owned.
//
// # A partition of a group
//
//	free       it is not owned, its group is frozen, or it has no member that stays
//	taken up   Config.TakeUp runs
//	given      the member's own function runs, or it holds the partition (infra.Claim.Hold)
//	given up   Config.GiveUp runs; the partition is free afterwards
//
// At most one claim has it at a time. A claim that is asked back (a member that has more
// than its part, that leaves, or a partition that is owned no more) ends by its context,
// in whatever state it is, and has the partition until it is given up. Among members that
// stay, parts differ by one at most once every claim that was asked back is given up.
//
// # Locks
//
// The lock of Shares is held while nothing of the caller's runs, except what Own is given.
// A caller may hold its own lock when it calls Own, Freeze, Members and Joined.
//
// It may import infra and the standard library.
package shares
