// Package shares divides the partitions that this process owns among the members of each
// group in this process. A log tells it both: Join adds a member, Own sets the owned
// partitions.
//
// # A partition of a group
//
//	free       it is not owned, its group is frozen, or every member leaves
//	taken up   Config.TakeUp runs
//	given      the member's own function runs, or it holds the partition (infra.Claim.Hold)
//	given up   Config.GiveUp runs; the partition is free afterwards
//
// At most one claim has a partition at a time. A claim is asked back when its member has
// more than its part or leaves, or when the partition is no longer owned. Its context then
// ends, in any state, and it keeps the partition until it is given up. After that, the
// parts of the members that stay differ by at most one.
//
// # Locks
//
// The lock of Shares is not held while functions of the caller run, except that of Own.
// A caller may hold its own lock when it calls Own, Freeze, Members and Joined.
//
// It may import infra and the standard library.
package shares
