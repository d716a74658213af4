package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every configuration that a document shows is accepted, a part of one as the whole.
// Schemas of events are YAML too, and are not configurations.
func TestConfigurationsOfTheDocuments(t *testing.T) {
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	for _, name := range []string{"CRM_SECRET", "OTLP_TOKEN"} {
		t.Setenv(name, secret)
	}
	files, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$")
	found := 0
	texts := map[string]string{}
	for _, f := range append(files, "../README.md", "../examples/webhook/eventserver.yaml") {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		texts[f] = string(text)
	}
	t.Chdir("..") // what they name, such as ./schemas, is there
	for f, text := range texts {
		blocks := block.FindAllStringSubmatch(text, -1)
		if strings.HasSuffix(f, ".yaml") {
			blocks = [][]string{{"", "", text}}
		}
		for _, m := range blocks {
			yaml := strings.TrimPrefix(strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n"), "\n")
			if strings.Contains(yaml, "x-event:") {
				continue
			}
			if !strings.Contains(yaml, "destinations:") {
				yaml += "\ndestinations: []\n"
			}
			if strings.Contains(yaml, "./webhook.secret") {
				path := filepath.Join(t.TempDir(), "webhook.secret")
				require.NoError(t, os.WriteFile(path, []byte(secret+"\n"), 0o600))
				yaml = strings.ReplaceAll(yaml, "./webhook.secret", path)
			}
			found++
			_, err := loadText(t, yaml, Options{})
			assert.NoError(t, err, "%s:\n%s", f, yaml)
		}
	}
	assert.GreaterOrEqual(t, found, 7, "configurations found")
}
