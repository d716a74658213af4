package main

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"eventserver/app/config"
	"eventserver/app/config/strict"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Memory: 256 * strict.MiB, Destinations: make([]config.Destination, 100)}
	const needed = (256 + 32 + 25) << 20
	for name, test := range map[string]struct {
		container uint64
		err       error
		want      int64
		warns     bool
	}{
		"no container":      {err: errors.New("not in a control group"), want: needed},
		"a large container": {container: 8 << 30, want: needed},
		"a tight container": {container: 420 << 20, want: needed, warns: true},
		"a small container": {container: 300 << 20, want: 270 << 20, warns: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			log := slog.New(slog.NewTextHandler(&said, nil))
			assert.Equal(t, test.want, memoryLimit(cfg, func() (uint64, error) { return test.container, test.err }, log))
			if test.warns {
				assert.Contains(t, said.String(), "give it more, or set memory lower")
			} else {
				assert.Empty(t, said.String())
			}
		})
	}
}
