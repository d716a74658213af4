package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra/kafka"
)

// What was done before a kill does not come again, although the cluster's own
// commits are an hour apart. The third message is not done: it alone comes
// again, and what was done above it does not.
func TestKillRepeatsNothingThatIsDone(t *testing.T) {
	t.Parallel()
	cfg := onePartition(t.TempDir())
	cfg.Kafka.CommitInterval = time.Hour
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 30)
	_, in := subscribe(t, b, "webhook", topic)
	for i := range 30 {
		if m := receive(t, in); i != 3 {
			m.Ack()
		}
	}
	require.Eventually(t, func() bool {
		left, err := readJournal(filepath.Join(cfg.Dir, "commits.journal"))
		return err == nil && len(left) == 1 && left[0].Offset == 3 && left[0].Metadata == "aARo" // one above it, a run of 26
	}, timeout, poll)

	cfg.Dir = killed(t, cfg.Dir)
	b = open(t, cfg)
	_, in = subscribe(t, b, "webhook", topic)
	only(t, b, in, topic, "u", "3")
}

func TestJournal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal")
	reopen := func() (*journal, []kafka.Commit) {
		j, left, err := openJournal(file, nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = j.close() })
		return j, left
	}
	j, left := reopen()
	assert.Empty(t, left)
	j.most = 2000
	for i := range 500 { // several times what fits
		j.note(kafka.Commit{Group: "g", Topic: "t", Partition: int32(i % 3), Offset: int64(i), Metadata: fmt.Sprint("m", i)})
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(2*2000))
	want := []kafka.Commit{
		{Group: "g", Topic: "t", Partition: 0, Offset: 498, Metadata: "m498"},
		{Group: "g", Topic: "t", Partition: 1, Offset: 499, Metadata: "m499"},
		{Group: "g", Topic: "t", Partition: 2, Offset: 497, Metadata: "m497"},
	}
	_, left = reopen()
	assert.ElementsMatch(t, want, left)

	// A line that was being written when the machine stopped.
	add(t, file, []byte(`{"group":"g","topic":"t","partition":0,"off`))
	j, left = reopen()
	assert.ElementsMatch(t, want, left)
	require.NoError(t, j.clear())
	_, left = reopen()
	assert.Empty(t, left)
}

// A journal that cannot be written stops nothing.
func TestJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	j, _, err := openJournal(filepath.Join(t.TempDir(), "journal"), nil)
	require.NoError(t, err)
	require.NoError(t, j.f.Close())
	j.note(kafka.Commit{Group: "g", Topic: "t"})
	assert.True(t, j.failing)
	assert.Error(t, j.close())
	j.note(kafka.Commit{Group: "g", Topic: "t"}) // after the end: nothing
	assert.NoError(t, j.close())
}

// A flipped byte makes its line count for nothing: a wrong offset would skip
// events.
func TestFlippedByteInTheJournal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal")
	good, err := appendLine(nil, kafka.Commit{Group: "g", Topic: "t", Offset: 1234})
	require.NoError(t, err)
	for i := range len(good) - 1 {
		bad := append([]byte{}, good...)
		bad[i] ^= 1
		require.NoError(t, os.WriteFile(file, bad, 0o600))
		left, err := readJournal(file)
		require.NoError(t, err)
		assert.Empty(t, left, "%q", bad)
	}
	require.NoError(t, os.WriteFile(file, good, 0o600))
	left, err := readJournal(file)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}
