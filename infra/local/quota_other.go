//go:build !unix

package local

import "errors"

var errQuota = errors.New("a quota is used up") // there is no such error here
