package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// A full disk was reported as "Unexpected (unknown?) server error". The disk's own
// error is in that of the publish, one message or several.
func TestPublishNamesWhatTheDiskSays(t *testing.T) {
	dir := t.TempDir()
	b := open(t, testConfig(dir))
	ensure(t, b, topic)
	// The files of the partitions cannot be made, for root neither.
	parts := filepath.Join(dir, "broker", "partitions")
	if err := errors.Join(os.RemoveAll(parts), os.WriteFile(parts, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		msgs := make([]*message.Message, n+1)
		for i := range msgs {
			msgs[i] = message.NewMessage(watermill.NewUUID(), []byte("{}"))
		}
		err := b.Publisher(infra.Durable).Publish(topic, msgs...)
		if !errors.Is(err, syscall.ENOTDIR) || !errors.Is(err, sarama.ErrUnknown) || !strings.HasPrefix(err.Error(), "broker.dir: ") || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%d messages: %v", n+1, err)
		}
	}
}
