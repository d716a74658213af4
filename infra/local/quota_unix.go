//go:build unix

package local

import "syscall"

// errQuota is what a system says to a user whose share of the disk is used up.
const errQuota = syscall.EDQUOT
