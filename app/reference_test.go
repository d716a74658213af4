package app

import (
	"flag"
	"io"
	"os"
	"testing"

	"eventserver/app/config"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

const referenceFile = "../docs/config.md"

func reference() string {
	var docs []config.KindDoc
	for _, k := range builtin(io.Discard) {
		docs = append(docs, config.KindDoc{Name: k.name, Config: k.zero})
	}
	return config.Reference(docs)
}

// docs/config.md is generated: go test ./app -run Reference -update.
func TestReferenceIsUpToDate(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the code says (%v): run make generate", referenceFile, err)
	}
}

// The examples are valid with the real kinds.
func TestExampleConfigs(t *testing.T) {
	t.Setenv("ORDERS_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	for _, f := range []string{"../examples/config/minimal.yaml", "../examples/config/all-kinds.yaml"} {
		if _, err := Load(f, Options{}); err != nil {
			t.Errorf("%v", err)
		}
	}
}
