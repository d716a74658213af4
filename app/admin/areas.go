package admin

import "github.com/danielgtaylor/huma/v2"

// areas lists what registers operations, one a line.
func (s *Server) areas() []func(huma.API) {
	return []func(huma.API){
		s.buildOperations,
		s.configOperations,
		s.destinationOperations,
		s.forgetOperations,
		s.poisonOperations,
		s.explainOperations,
		s.tailOperations,
		s.backupOperations,
	}
}
