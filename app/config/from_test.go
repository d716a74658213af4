package config

import (
	"strings"
	"testing"
	"time"
)

func TestFrom(t *testing.T) {
	for from, fault := range map[string]string{
		"oldest": "", "now": "", "2026-11-25T10:00:00Z": "", "2026-11-25T10:00:00.123+02:00": "",
		"newest": "is not oldest, now or a time", "24h": "is not oldest", "2026-11-25": "is not oldest", "''": "is not oldest", "2026-13-01T00:00:00Z": "is not oldest",
		time.Now().Add(time.Hour).Format(time.RFC3339): "is still to come; write now",
	} {
		d := Destination{ID: "d", From: from}
		err := d.Validate()
		if fault == "" && err != nil || fault != "" && (err == nil || !strings.HasPrefix(err.Error(), "from: ") || !strings.Contains(err.Error(), fault)) {
			t.Errorf("%s: %v", from, err)
		}
	}
	now := Destination{From: "now"}
	if oldest, since := now.Begins(); oldest || !since.IsZero() {
		t.Error("now is not now")
	}
	if oldest, _ := (&Destination{}).Begins(); !oldest {
		t.Error("the default is not oldest")
	}
}
