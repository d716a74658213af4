package file

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"eventserver/destinations"
)

// Kind is the name of this kind of destination in the configuration.
const Kind = "file"

// Config says where and what to write.
type Config struct {
	Path     string        `yaml:"path" required:"true" doc:"File to append to. A missing directory is created."`
	Envelope bool          `yaml:"envelope" default:"false" doc:"Write id, type, key and times beside the data."`
	MaxBytes int64         `yaml:"max_bytes" default:"100MiB" unit:"bytes" min:"1" doc:"Size after which a new file begins."`
	MaxAge   time.Duration `yaml:"max_age" default:"0s" min:"0s" doc:"Age after which a new file begins; 0 for never."`
	Keep     int           `yaml:"keep" default:"0" min:"0" doc:"Number of older files to keep; 0 for all."`
}

func (c Config) withDefaults() Config {
	if c.MaxBytes == 0 {
		c.MaxBytes = 100 << 20
	}
	return c
}

// longestName leaves room in the 255 bytes of a name for what nextName adds.
const longestName = 255 - len(".") - len(stampLayout) - len("-000000")

// Validate returns errors.Join of one "key: what is wrong" for each fault.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.Path == "" || strings.HasSuffix(c.Path, "/") || strings.ContainsRune(c.Path, 0) {
		errs = append(errs, fmt.Errorf("path: %q does not name a file; write a path such as ./data/events.ndjson", c.Path))
	}
	if n := len(filepath.Base(c.Path)); n > longestName {
		errs = append(errs, fmt.Errorf("path: the name of the file has %d bytes, and older files get a longer one; use at most %d", n, longestName))
	}
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("max_bytes: %d is negative; give a size such as 100MiB", c.MaxBytes))
	}
	if c.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("max_age: %s is negative; give an age such as 24h, or 0 for never", c.MaxAge))
	}
	if c.Keep < 0 {
		errs = append(errs, fmt.Errorf("keep: %d is negative; give a number of files, or 0 for all", c.Keep))
	}
	return errors.Join(errs...)
}

// File is where Path leads: the same for each way to write it.
func (c Config) File() string {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return filepath.Clean(c.Path)
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// Precheck looks at the file and its directory, and makes neither.
func (c Config) Precheck() error {
	if c.Validate() != nil {
		return nil // it says so
	}
	if err := destinations.CheckFile(c.Path); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	return nil
}
