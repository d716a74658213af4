package embedded

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/infra/kafka"
)

func journalOf(cfg Config) string { return filepath.Join(cfg.Dir, "commits.journal") }

// journalled waits until the journal's one commit is at offset.
func journalled(t *testing.T, cfg Config, offset int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		left, err := readJournal(journalOf(cfg))
		return err == nil && len(left) == 1 && left[0].Offset == offset
	}, timeout, poll)
}

// The file of the groups was lost with the machine, and the journal outlived it:
// the cluster did not know the group, and no start succeeded any more. Without
// the journal everything comes again, and nothing is skipped.
func TestGroupsAreLost(t *testing.T) {
	t.Parallel()
	damage := func(t *testing.T, file string) {
		bytes, err := os.ReadFile(file)
		require.NoError(t, err)
		bytes[10] ^= 0xff
		require.NoError(t, os.WriteFile(file, bytes, 0o600))
	}
	empty := func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 0)) }
	remove := func(t *testing.T, file string) { require.NoError(t, os.Remove(file)) }
	zeros := func(t *testing.T, file string) { // it had grown, and the data had not come
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, make([]byte, info.Size()), 0o600))
	}
	for name, test := range map[string]struct {
		groups, journal func(t *testing.T, file string)
		first           int // that comes
	}{
		"empty":            {empty, nil, 5},
		"zeros":            {zeros, nil, 5},
		"damaged":          {damage, nil, 5},
		"removed":          {remove, nil, 5},
		"both are empty":   {empty, empty, 0},
		"both are zeros":   {zeros, zeros, 0},
		"both are removed": {remove, remove, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := onePartition(t.TempDir())
			cfg.Kafka.CommitInterval = time.Hour // one commit, and the journal has it too
			b := open(t, cfg)
			ensure(t, b, topic)
			publish(t, b, topic, "u", 0, 30)
			_, in := subscribe(t, b, "webhook", topic)
			for range 5 {
				receive(t, in).Ack()
			}
			journalled(t, cfg, 5)
			cfg.Dir = killed(t, cfg.Dir)
			test.groups(t, filepath.Join(cfg.Dir, "broker", "groups.log"))
			if test.journal != nil {
				test.journal(t, journalOf(cfg))
			}

			b = open(t, cfg)
			ensure(t, b, topic)
			_, in = subscribe(t, b, "webhook", topic)
			only(t, b, in, topic, "u", numbers(test.first, 30-test.first)...)
		})
	}
}

// Whoever begins anew by deleting the records leaves the journal where it is.
// What it knew of the old ones was taken for done in the new ones, whose first
// events nobody got.
func TestRecordsAreDeleted(t *testing.T) {
	t.Parallel()
	eachEnding(t, func(t *testing.T, end func(*testing.T, *Broker, string) string) {
		cfg := onePartition(t.TempDir())
		b := open(t, cfg)
		ensure(t, b, topic)
		publish(t, b, topic, "u", 0, 30)
		consume(t, b, "webhook", topic, 30)
		cfg.Dir = end(t, b, cfg.Dir)
		require.NoError(t, os.RemoveAll(filepath.Join(cfg.Dir, "broker")))

		b = open(t, cfg)
		ensure(t, b, topic)
		publish(t, b, topic, "u", 0, 40) // further than the old ones went
		lag, err := infra.LagOf(t.Context(), b, "webhook", topic)
		require.NoError(t, err)
		assert.EqualValues(t, 40, lag)
		_, in := subscribe(t, b, "webhook", topic)
		only(t, b, in, topic, "u", numbers(0, 40)...)
	})
}

// An older copy of the records is put in the place of the newer ones, beside a
// journal that knew how far those were done: five events of the copy, that are
// not done in it, were skipped.
func TestOlderCopyOfTheRecords(t *testing.T) {
	t.Parallel()
	cfg := onePartition(t.TempDir())
	records, older := filepath.Join(cfg.Dir, "broker"), t.TempDir()
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 10)
	consume(t, b, "webhook", topic, 5)
	require.NoError(t, b.Close())
	require.NoError(t, os.CopyFS(older, os.DirFS(records)))
	b = open(t, cfg)
	publish(t, b, topic, "u", 10, 20)
	consume(t, b, "webhook", topic, 25)
	require.NoError(t, b.Close())
	require.NoError(t, os.RemoveAll(records))
	require.NoError(t, os.CopyFS(records, os.DirFS(older)))

	b = open(t, cfg)
	lag, err := infra.LagOf(t.Context(), b, "webhook", topic)
	require.NoError(t, err)
	assert.EqualValues(t, 5, lag)
	_, in := subscribe(t, b, "webhook", topic)
	only(t, b, in, topic, "u", numbers(5, 5)...)
}

// After a clean stop the cluster has everything, and the journal holds nothing
// that could be held against other records.
func TestJournalIsEmptyAfterClose(t *testing.T) {
	t.Parallel()
	cfg := onePartition(t.TempDir())
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 30)
	_, in := subscribe(t, b, "webhook", topic)
	for range 20 {
		receive(t, in).Ack()
	}
	journalled(t, cfg, 20)
	require.NoError(t, b.Close())
	info, err := os.Stat(journalOf(cfg))
	require.NoError(t, err)
	assert.Zero(t, info.Size())

	b = open(t, cfg)
	_, in = subscribe(t, b, "webhook", topic)
	only(t, b, in, topic, "u", numbers(20, 10)...)
}

// A line of the journal was torn, and the server went on to a clean stop. The
// next start read the journal as far as that line and set the group back to it:
// what was done since came again.
func TestTornLineThenClose(t *testing.T) {
	t.Parallel()
	cfg := onePartition(t.TempDir())
	cfg.Kafka.CommitInterval = time.Hour
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 30)
	s, in := subscribe(t, b, "webhook", topic)
	for i := range 30 {
		m := receive(t, in)
		if i == 10 { // some of it is in the journal
			journalled(t, cfg, 3)
			add(t, journalOf(cfg), []byte(`{"group":"webhook","topic":"ev`))
		}
		if i != 3 {
			m.Ack()
		}
	}
	require.NoError(t, s.Close())
	require.NoError(t, b.Close())

	b = open(t, cfg)
	_, in = subscribe(t, b, "webhook", topic)
	only(t, b, in, topic, "u", "3")
}

// What a journal knows never sets a group back: not below the cluster's commit,
// and not to less that is done above the same offset.
func TestJournalSetsNobodyBack(t *testing.T) {
	t.Parallel()
	b := open(t, onePartition(t.TempDir()))
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 30)
	s, in := subscribe(t, b, "webhook", topic)
	for i := range 20 {
		if m := receive(t, in); i != 3 {
			m.Ack()
		}
	}
	lag := func() int64 {
		n, err := infra.LagOf(t.Context(), b, "webhook", topic)
		require.NoError(t, err)
		return n
	}
	require.Eventually(t, func() bool { return lag() == 11 }, timeout, poll)
	require.NoError(t, s.Close())
	older := kafka.Commit{Group: "webhook", Topic: topic, Offset: 3, Metadata: "aAQI"} // a run of two above one
	for name, c := range map[string]kafka.Commit{
		"less is done above": older,
		"nothing is above":   {Group: "webhook", Topic: topic, Offset: 3},
		"lower":              {Group: "webhook", Topic: topic, Offset: 2},
		"cannot be read":     {Group: "webhook", Topic: topic, Offset: 3, Metadata: "aA"},
	} {
		require.NoError(t, b.Advance([]kafka.Commit{c}))
		assert.EqualValues(t, 11, lag(), name)
	}
	require.NoError(t, b.Advance([]kafka.Commit{{Group: "webhook", Topic: topic, Offset: 25}}))
	assert.EqualValues(t, 5, lag(), "ahead")
}

// A torn line ended the reading, although each line is true by itself: after a
// kill all that was done since came again. The line that follows it on the same
// line is lost with it.
func TestJournalIsReadBehindATornLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal")
	j, _, err := openJournal(file, nil)
	require.NoError(t, err)
	defer func() { _ = j.close() }()
	note := func(offset int64) { j.note(kafka.Commit{Group: "g", Topic: "t", Offset: offset}) }
	note(1)
	add(t, file, []byte(`{"group":"g","topic":"t","part`))
	note(2)
	left, err := readJournal(file)
	require.NoError(t, err)
	assert.Equal(t, []kafka.Commit{{Group: "g", Topic: "t", Offset: 1}}, left)
	note(3)
	left, err = readJournal(file)
	require.NoError(t, err)
	assert.Equal(t, []kafka.Commit{{Group: "g", Topic: "t", Offset: 3}}, left)
}

// The disk was full for a moment. The half line that stayed had the next one,
// for which there was room again, follow on it: that one could not be read
// either. No file is longer than its file system can have it, which ends a
// write half way too.
func TestJournalOnAFullDisk(t *testing.T) {
	t.Parallel()
	j, _, err := openJournal(filepath.Join(t.TempDir(), "journal"), nil)
	require.NoError(t, err)
	defer func() { _ = j.close() }()
	longest, tooLong := int64(0), int64(math.MaxInt64)
	for longest+1 < tooLong { // it holds nothing, and takes no room
		if at := longest + (tooLong-longest)/2; j.f.Truncate(at) == nil {
			longest = at
		} else {
			tooLong = at
		}
	}
	size := func() int64 {
		info, err := j.f.Stat()
		require.NoError(t, err)
		return info.Size()
	}
	whole := longest - 10
	require.NoError(t, j.f.Truncate(whole))
	n, err := j.f.Write(make([]byte, 20))
	require.Error(t, err)
	require.NotZero(t, n, "the write was not short: nothing is shown")
	require.NoError(t, j.f.Truncate(whole))

	j.size, j.most = whole, math.MaxInt64
	j.note(kafka.Commit{Group: "g", Topic: "t", Offset: 1})
	assert.True(t, j.failing)
	assert.Equal(t, whole, size(), "a half line stayed")
	assert.Equal(t, whole, j.size)
}

// A journal that could not be written afresh went on in its old file with the
// new one's size, and the next half line cut it there, in the middle of a line.
func TestJournalThatCannotBeRewritten(t *testing.T) {
	t.Parallel()
	j, _, err := openJournal(filepath.Join(t.TempDir(), "journal"), nil)
	require.NoError(t, err)
	defer func() { _ = j.close() }()
	require.NoError(t, os.Remove(j.path)) // a directory in its place: the new file cannot be put there
	require.NoError(t, os.Mkdir(j.path, 0o700))
	j.most = 200
	for i := range 10 {
		j.note(kafka.Commit{Group: "g", Topic: "t", Offset: int64(i)})
	}
	assert.True(t, j.failing)
	info, err := j.f.Stat()
	require.NoError(t, err)
	assert.Equal(t, info.Size(), j.size)
}
