package local

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The format file says what the directory is. Without it, a directory with missing files
// could look like a new one. It is text:
//
//	eventserver log
//	version 1
//	state ready
//	created 2026-11-30T12:00:00Z
//	crc32c 1a2b3c4d
//
// A first start writes it twice: "new" before it creates the other files, "ready"
// after.
const (
	formatTitle   = "eventserver log"
	formatVersion = "1"

	formatNew     = "new"
	formatPartial = "partial" // a backup or a repair that writes here has not ended
	formatReady   = "ready"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errFormat = errors.New("its text was changed")
	errNewer  = errors.New("a newer release wrote it: start that release")
)

func formatText(state string, created time.Time) string {
	return withChecksum(fmt.Sprintf("%s\nversion %s\nstate %s\ncreated %s\n", formatTitle, formatVersion, state, created.UTC().Format(time.RFC3339)))
}

// withChecksum adds the last line.
func withChecksum(text string) string {
	return fmt.Sprintf("%scrc32c %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// checked is a text without its last line, the checksum, which it checks.
func checked(text string) (string, error) {
	body := text[:strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1]
	if text != withChecksum(body) {
		return "", errFormat
	}
	return body, nil
}

// readFormat is the state in the file.
func readFormat(fs vfs.FS, path string) (state string, err error) {
	text, err := readFile(fs, path)
	if err != nil {
		return "", err
	}
	body, err := checked(string(text))
	if err != nil {
		return "", err
	}
	fields := map[string]string{}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		fields[name] = value
	}
	switch {
	case fields["version"] != formatVersion:
		return "", fmt.Errorf("format %q, and this release knows %q: %w", fields["version"], formatVersion, errNewer)
	case !slices.Contains([]string{formatNew, formatPartial, formatReady}, fields["state"]):
		return "", errFormat
	}
	return fields["state"], nil
}

// writeFormat replaces the file, synced with its directory.
func writeFormat(fs vfs.FS, dir, state string) error {
	return writeSynced(fs, dir, formatName, []byte(formatText(state, time.Now())))
}

// writeSynced replaces a file. After a crash the old one or the new one exists.
func writeSynced(fs vfs.FS, dir, name string, content []byte) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readFile(fsys vfs.FS, path string) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return text, err
}
