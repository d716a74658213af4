package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"eventserver/destinations"
)

// hook is a kind as its own package would write it, without importing config.
type hook struct {
	URL          string              `yaml:"url" required:"true" doc:"Address to POST to; http or https."`
	Secret       destinations.Secret `yaml:"secret" doc:"Key of the signature."`
	SecretNext   destinations.Secret `yaml:"secret_next" doc:"The next one, while it is changed."`
	Headers      map[string]string   `yaml:"headers" doc:"More headers."`
	AllowPrivate bool                `yaml:"allow_private" default:"false" doc:"Send to private addresses too."`
	MaxBytes     int                 `yaml:"max_bytes" default:"64KiB" unit:"bytes" min:"1" doc:"Most bytes read of an answer."`
	Wait         time.Duration       `yaml:"wait" default:"1s" doc:"A | wait."`
	Limits       *hookLimits         `yaml:"limits" doc:"Bounds."`
	Mode         string              `yaml:"mode" default:"post" oneof:"post put" doc:"Method."`
	Statuses     []int               `yaml:"statuses" doc:"Statuses that count as done."`
	Part         uint8               `yaml:"part" default:"3" doc:"A small number."`
}

type hookLimits struct {
	Low  int `yaml:"low" default:"1" doc:"Least."`
	High int `yaml:"high" default:"9" doc:"Most."`
}

func (l *hookLimits) Validate() error {
	if l.Low > l.High {
		return fmt.Errorf("low: %d is more than high %d; give less", l.Low, l.High)
	}
	return nil
}

func (h *hook) Validate() error {
	var errs []error
	if u, err := url.Parse(h.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		scheme, _, _ := strings.Cut(h.URL, "://")
		errs = append(errs, fmt.Errorf("url: scheme %q is not http or https; write an http:// or https:// URL", scheme))
	}
	if h.Secret.Reveal() == "short" {
		errs = append(errs, errors.New("secret: is too short; give 24 bytes or more"))
	}
	if strings.HasPrefix(h.Secret.Reveal(), "leaky") {
		// A kind with a mistake: what it says must not come out.
		errs = append(errs, fmt.Errorf("secret: %q\nis leaky, %s", h.Secret.Reveal(), h.Secret.Reveal()))
	}
	if h.Headers["X-Bad"] != "" {
		errs = append(errs, errors.New("headers.X-Bad: is not allowed; delete it"))
	}
	for i, s := range h.Statuses {
		if s < 100 {
			errs = append(errs, fmt.Errorf("statuses[%d]: %d is not a status; give one such as 200", i, s))
		}
	}
	if h.SecretNext != "" && h.Secret == "" {
		errs = append(errs, errors.New("a next secret needs a present one; give secret"))
	}
	return errors.Join(errs...)
}

type nothing struct{}

type topicKind struct {
	Brokers []string `yaml:"brokers" required:"true" min:"1" doc:"Addresses."`
	Topic   string   `yaml:"topic" required:"true" doc:"Topic to write to."`
}

type fileKind struct {
	Path string `yaml:"path" required:"true" doc:"File to append to."`
}

var fakeKinds = map[string]KindCheck{
	"webhook": func(s *Settings) error {
		var h hook
		err := s.Decode(&h)
		if s.Common().Filter == "bad(" {
			err = errors.Join(err, errors.New("filter: no closing bracket; write one"))
		}
		return err
	},
	"log":   CheckInto[nothing],
	"file":  CheckInto[fileKind],
	"kafka": CheckInto[topicKind],
}
