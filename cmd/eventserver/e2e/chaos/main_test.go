package chaos_test

import (
	"testing"

	"eventserver/cmd/eventserver/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
