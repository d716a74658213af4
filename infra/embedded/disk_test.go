package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// size is how many bytes the files under dir hold.
func size(t *testing.T, dir string) (total int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) { // removed under our eyes
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	}))
	return total
}

// The cluster removes whole files only, and by default a file takes 100 MiB: a
// partition that had delivered everything still held that much.
func TestDiskIsBounded(t *testing.T) {
	t.Parallel()
	cfg := trimming(testConfig(t.TempDir()))
	cfg.NoSync = true // not what is tested, and slow
	cfg.SegmentBytes = 128 << 10
	b := open(t, cfg)
	ensure(t, b, topic)
	p := probe(t, b)
	_, a := subscribe(t, b, "a", topic)
	_, other := subscribe(t, b, "b", topic)
	const rounds, each, body = 6, 256, 8 << 10
	payload := make([]byte, body)
	var peak int64
	for range rounds {
		msgs := make([]*message.Message, each)
		for i := range msgs {
			msgs[i] = message.NewMessage(watermill.NewUUID(), payload)
			msgs[i].Metadata.Set(infra.MetaKey, msgs[i].UUID)
		}
		for i := 0; i < each; i += 8 { // batches far smaller than a segment
			require.NoError(t, b.Publisher(infra.Durable).Publish(topic, msgs[i:i+8]...))
		}
		for range each {
			receive(t, a).Ack()
			receive(t, other).Ack()
		}
		peak = max(peak, size(t, cfg.Dir))
		for part := range int32(4) {
			trimmedTo(t, p, topic, part, p.newest(t, topic, part)-1)
		}
	}
	const written = rounds * each * body
	left := size(t, cfg.Dir)
	t.Logf("%d KiB written, %d KiB at most, %d KiB left", written>>10, peak>>10, left>>10)
	// Four partitions keep a segment each, a batch longer than its size at most.
	const most = 4*(128<<10+8*(body+512)) + 256<<10
	assert.LessOrEqual(t, left, int64(most))
	assert.LessOrEqual(t, peak, int64(most+2*each*body), "no more than a round beside it")
	assert.Less(t, int64(most+2*each*body), int64(written)/2, "the test writes enough to tell")

	require.NoError(t, b.Close())
	b = open(t, cfg)
	assert.LessOrEqual(t, size(t, cfg.Dir), int64(most), "nothing comes back")
	_, in := subscribe(t, b, "a", topic)
	only(t, b, in, topic, "u")
}
