package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// A commit's metadata is the text of the position, and a suffix that names its writer:
//
//	@ and 11 characters   the member of that mark owns the partition
//	! and 11 characters   likewise, and nothing is kept yet: the offset is the oldest
//	=                     nobody owns it; after the text, where there is one
//	!                     nobody owns it, and nothing is kept
//
// Metadata without such a suffix are foreign: of the first release, whose text is read, or
// of another tool. A group has no members on the cluster, so the marks show a process what
// the others read.
const (
	markOwned   = '@'
	markNothing = '!'
	markNobody  = '='

	markBytes = 12
	// metadataBytes is Kafka's default offset.metadata.max.bytes.
	metadataBytes = 4096
)

// markOf is the mark of a member.
func markOf(member string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, h.Sum64()))
}

// commit is a group's commit of a partition.
type commit struct {
	position infra.Position
	kept     bool   // false: the commit has only the owner
	owner    string // mark; "": none
}

// metadata is the metadata of a commit.
func (c commit) metadata() string {
	switch {
	case c.owner != "" && c.kept:
		return c.position.Text + string(markOwned) + c.owner
	case !c.kept:
		return string(markNothing) + c.owner
	case c.position.Text != "":
		return c.position.Text + string(markNobody)
	}
	return ""
}

// plainText reads the text of the first release; boundText is the present format.
var (
	plainText = progress.Codec{Form: progress.Plain, Limit: metadataBytes}
	boundText = progress.Codec{Limit: metadataBytes}
)

// readCommit reads a commit of any writer.
func readCommit(next int64, metadata string) commit {
	c := commit{position: infra.Position{Next: next, Text: metadata}, kept: true}
	n := len(metadata)
	if n == 0 {
		return c
	}
	if metadata == string(markNothing) {
		return commit{position: infra.Position{Next: next}}
	}
	if metadata[n-1] == markNobody {
		c.position.Text = metadata[:n-1]
		return c
	}
	if n >= markBytes {
		mark, owner := metadata[n-markBytes], metadata[n-markBytes+1:]
		if _, err := base64.RawURLEncoding.DecodeString(owner); err == nil && (mark == markOwned || mark == markNothing && n == markBytes) {
			c.position.Text, c.owner, c.kept = metadata[:n-markBytes], owner, mark == markOwned
			return c
		}
	}
	// The spans of the first core have no checksum and no position, unless a note is
	// with them: they are accepted once.
	if state, err := plainText.Decode(next, metadata); err == nil {
		c.position.Text, _ = boundText.Encode(state)
	}
	return c
}
