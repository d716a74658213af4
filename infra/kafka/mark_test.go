package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/infra"
	"eventserver/infra/progress"
)

func TestCommitsSayWhoOwns(t *testing.T) {
	mark := markOf("eventserver-4711")
	for _, c := range []commit{
		{position: infra.Position{Next: 7}, kept: true},
		{position: infra.Position{Next: 7, Text: "pQUJD"}, kept: true},
		{position: infra.Position{Next: 7, Text: "pQUJD"}, kept: true, owner: mark},
		{position: infra.Position{Next: 7}, kept: true, owner: mark},
		{position: infra.Position{Next: 7}, owner: mark},
		{position: infra.Position{Next: 7}},
	} {
		assert.Equal(t, c, readCommit(7, c.metadata()), "%q", c.metadata())
	}
	assert.Len(t, commit{owner: mark}.metadata(), markBytes)
	for _, foreign := range []string{"x", "a tool's", "a@b", "who@example.org", "!", "=", strings.Repeat("@", markBytes)} {
		c := readCommit(7, foreign)
		assert.Empty(t, c.owner, foreign)
	}
}

// What the first core committed says what is done, and where its note belongs to another
// position it says nothing.
func TestReadsTheFirstCoresCommits(t *testing.T) {
	old := progress.Codec{Form: progress.Plain, Limit: metadataBytes}
	state := progress.State{Next: 40, Note: "n1", Above: []infra.Span{{From: 42, To: 50}, {From: 60, To: 61}}}
	text, _ := old.Encode(state)
	got, err := progress.Codec{}.Decode(40, readCommit(40, text).position.Text)
	require.NoError(t, err)
	assert.Equal(t, state, got)
	moved, err := progress.Codec{}.Decode(30, readCommit(30, text).position.Text)
	require.NoError(t, err)
	assert.Equal(t, progress.State{Next: 30}, moved)
	ours, _ := progress.Codec{Limit: metadataBytes}.Encode(state)
	_, err = progress.Codec{}.Decode(30, readCommit(30, ours+"=").position.Text)
	require.ErrorIs(t, err, progress.ErrForeign, "moved by another tool")
}

// The first start on a cluster that the first core worked on goes on where that was,
// although its members keep their places until their sessions end.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	one := process(t, c, "one", nil)
	text, _ := plainText.Encode(progress.State{Next: 2, Above: []infra.Span{{From: 3, To: 5}}})
	before := kadm.Offsets{}
	before.Add(kadm.Offset{Topic: topic, Partition: 1, At: 2, LeaderEpoch: -1, Metadata: text})
	require.NoError(t, one.admin.CommitAllOffsets(t.Context(), group, before))
	old, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.InstanceID("one."+group+"."+topic), kgo.SessionTimeout(time.Minute))
	require.NoError(t, err)
	require.Eventually(t, func() bool { g := c.GroupInfo(group); return g != nil && g.State == "Stable" }, timeout, time.Millisecond)
	old.Close() // a static member stays
	claims := make(chan infra.Claim, 8)
	m, err := one.Join(t.Context(), group, topic, func(c infra.Claim) {
		claims <- c
		<-c.Context.Done()
	})
	require.NoError(t, err)
	for range 4 {
		claim := <-claims
		state, err := progress.Codec{}.Decode(claim.Position.Next, claim.Position.Text)
		require.NoError(t, err)
		if claim.Partition == 1 {
			assert.Equal(t, progress.State{Next: 2, Above: []infra.Span{{From: 3, To: 5}}}, state)
		} else {
			assert.Equal(t, progress.State{}, state)
		}
	}
	require.NoError(t, m.Close())
	members, err := one.Members(t.Context(), group)
	require.NoError(t, err)
	assert.Empty(t, members)
}

// A cluster forgets the commits of groups without members after a week: those of a
// destination that has had nothing to do so long are written again.
func TestOldCommitsAreWrittenAgain(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	one := process(t, c, "one", nil)
	o := newOwners(t)
	o.join("one", one, atOnce)
	o.await("one", 4)
	require.NoError(t, one.Keep(t.Context(), infra.Progressed{Group: group, Topic: topic, Position: infra.Position{Next: 0, Text: "x"}}))
	_, err := one.admin.DeleteGroups(t.Context(), group) // as if it were forgotten
	require.NoError(t, err)
	one.members.refresh(t.Context())
	kept, err := one.Kept(t.Context(), topic, group)
	require.NoError(t, err)
	assert.Empty(t, kept, "they are not old yet")
	one.members.mu.Lock()
	for _, c := range one.members.claims {
		c.at = time.Now().Add(-refreshAge)
	}
	one.members.mu.Unlock()
	one.members.refresh(t.Context())
	kept, err = one.Kept(t.Context(), topic, group)
	require.NoError(t, err)
	assert.Equal(t, map[string]map[int32]infra.Position{group: {0: {Text: "x"}}}, kept)
}
