package app

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever names a directory that cannot take a backup is told what to name instead. Some
// were answered 500.
func TestBackupToAWrongPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := started(t, parsed(t, "http: {addr: '127.0.0.1:0'}\nadmin: {addr: '127.0.0.1:0'}\nbroker: {kind: embedded, dir: "+dir+"}\ndestinations: []"), Options{})
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	closed := t.TempDir()
	require.NoError(t, os.Chmod(closed, 0o500))
	const cure = "name a directory that is empty or does not exist, where this server may write, outside of broker.dir"
	type wrong struct {
		name, to string
		status   int
		text     string
	}
	cases := []wrong{
		{"not absolute", "backup", http.StatusBadRequest, "is not an absolute path"},
		{"not empty", filepath.Dir(file), http.StatusConflict, cure},
		{"within the server's", filepath.Join(dir, "backup"), http.StatusConflict, cure},
		{"a file", file, http.StatusConflict, cure},
		{"below a file", filepath.Join(file, "backup"), http.StatusConflict, cure},
		{"too long", filepath.Join(t.TempDir(), strings.Repeat("x", 300)), http.StatusConflict, cure},
	}
	if os.Geteuid() != 0 { // root may write everywhere
		cases = append(cases, wrong{"not writable", filepath.Join(closed, "backup"), http.StatusConflict, cure})
	}
	for _, c := range cases {
		status, text := asked(t, http.MethodPost, "http://"+a.AdminAddr()+"/v1/backup", `{"dir": "`+c.to+`"}`, "")
		assert.Equal(t, c.status, status, "%s: %s", c.name, text)
		assert.Contains(t, text, c.text, c.name)
	}
	to := filepath.Join(t.TempDir(), "made", "backup")
	status, text := asked(t, http.MethodPost, "http://"+a.AdminAddr()+"/v1/backup", `{"dir": "`+to+`"}`, "")
	assert.Equal(t, http.StatusOK, status, text)
}
