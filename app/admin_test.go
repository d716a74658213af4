package app

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app/admin"
)

// Two servers of one process have an admin API each, and show their own
// configuration, without secrets.
func TestAdminOfTwoServers(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("s3cret"))
	digest := hex.EncodeToString(sum[:])
	log := &output{}
	o := Options{Stdout: &output{}, Logger: slog.New(slog.NewTextHandler(log, nil))}
	open := started(t, parsed(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory, instance_id: one}\ndestinations: [{id: log, kind: log}]"), o)
	closed := started(t, parsed(t, "http: {addr: '127.0.0.1:0'}\nadmin: {tokens: [{name: ann, role: read, sha256: ["+digest+"]}]}\nbroker: {kind: memory, instance_id: two}\ndestinations: []"), o)
	require.NotEqual(t, open.AdminAddr(), closed.AdminAddr())
	for _, line := range []string{
		`level=INFO msg="the admin API listens" addr=` + open.AdminAddr() + " tokens=0\n",
		`level=INFO msg="the admin API listens" addr=` + closed.AdminAddr() + " tokens=1\n",
	} {
		assert.Equal(t, 1, strings.Count(log.String(), line), "%s\n%s", line, log)
	}

	var b admin.Build
	c := &admin.Client{BaseURL: "http://" + open.AdminAddr()}
	require.NoError(t, c.Get(t.Context(), "/v1/build", nil, &b))
	assert.Equal(t, "one", b.Instance)
	assert.False(t, b.Started.IsZero())
	c = &admin.Client{BaseURL: "http://" + closed.AdminAddr()}
	assert.ErrorContains(t, c.Get(t.Context(), "/v1/build", nil, &b), "this needs a token with role read")
	c.Token = "s3cret"
	require.NoError(t, c.Get(t.Context(), "/v1/build", nil, &b))
	assert.Equal(t, "two", b.Instance)

	var answer admin.ConfigAnswer
	require.NoError(t, c.Get(t.Context(), "/v1/config", nil, &answer))
	assert.Equal(t, closed.cfg.Redacted(), answer.YAML)
	assert.NotContains(t, answer.YAML, digest)
	assert.Equal(t, "two", answer.Config["broker"].(map[string]any)["instance_id"])
}

func TestAdminOff(t *testing.T) {
	t.Parallel()
	a := started(t, parsed(t, "http: {addr: '127.0.0.1:0'}\nadmin: {addr: off}\nbroker: {kind: memory}\ndestinations: []"), Options{})
	assert.Empty(t, a.AdminAddr())
}

// Both ports are looked at before anything is accepted.
func TestAdminAddrTaken(t *testing.T) {
	t.Parallel()
	other := started(t, parsed(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\ndestinations: []"), Options{})
	a, err := New(t.Context(), parsed(t, "http: {addr: '127.0.0.1:0'}\nadmin: {addr: '"+other.AdminAddr()+"'}\nbroker: {kind: memory}\ndestinations: []"), Options{})
	require.NoError(t, err)
	assert.ErrorContains(t, a.Run(t.Context()), `give another admin.addr, or "off" for no admin API`)
}
