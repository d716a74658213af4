package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Build is what runs, as GET /v1/build answers.
type Build struct {
	Version  string    `json:"version" doc:"Version of the program"`
	Commit   string    `json:"commit" doc:"Commit of the build; empty where it is not known"`
	Modified bool      `json:"modified" doc:"Whether files were changed after that commit"`
	Go       string    `json:"go" doc:"Version of Go that it was built with"`
	Instance string    `json:"instance" doc:"broker.instance_id: the name of this process among those that share the work"`
	Started  time.Time `json:"started" doc:"When the process began to run"`
}

type buildOutput struct{ Body Build }

func (s *Server) buildOperations(api huma.API) {
	register(api, reading("get-build", "/v1/build", "What runs: versions, the instance, since when"),
		func(context.Context, *struct{}) (*buildOutput, error) { return &buildOutput{s.cfg.Build}, nil })
}
