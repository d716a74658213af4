package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSyncAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	assert.NoError(t, syncAll(filepath.Join(dir, "not there yet")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "topic", "0"), 0o700))
	file := filepath.Join(dir, "topic", "0", "segment")
	require.NoError(t, os.WriteFile(file, []byte("records"), 0o600))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "link"))) // no file of ours
	require.NoError(t, syncAll(dir))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "records", string(text))
	if os.Getuid() != 0 { // root may open anything
		require.NoError(t, os.Chmod(file, 0))
		assert.ErrorContains(t, syncAll(dir), "topic/0/segment")
	}
}
