package admin

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"go.yaml.in/yaml/v4"
)

// Configuration is the configuration in force. It is asked by requests, many at
// once.
type Configuration interface {
	// Redacted is YAML without secrets, with every default.
	Redacted() string
}

// ConfigAnswer is the configuration in force, twice.
type ConfigAnswer struct {
	YAML   string         `json:"yaml" doc:"For people: the keys in the order of docs/config.md"`
	Config map[string]any `json:"config" doc:"For programs: the same as an object"`
}

// AnswerOf is what GET /v1/config says of c.
func AnswerOf(c Configuration) (ConfigAnswer, error) {
	a := ConfigAnswer{YAML: c.Redacted()}
	if err := yaml.Load([]byte(a.YAML), &a.Config); err != nil {
		return a, fmt.Errorf("the configuration cannot be shown: %w", err)
	}
	return a, nil
}

type configOutput struct{ Body ConfigAnswer }

func (s *Server) configOperations(api huma.API) {
	register(api, reading("get-config", "/v1/config", "The configuration in force, with every default and without its secrets"),
		func(context.Context, *struct{}) (*configOutput, error) {
			if s.cfg.Configuration == nil {
				return nil, absent("configuration")
			}
			a, err := AnswerOf(s.cfg.Configuration)
			return &configOutput{a}, err
		})
}
