package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Handlers is what Watermill registers its own metrics on. It can take out of
// them what they have of one handler, which Watermill cannot: a destination that
// is removed would leave its series behind for ever.
type Handlers struct {
	prometheus.Registerer

	mu   sync.Mutex
	vecs []vec
}

type vec interface {
	DeletePartialMatch(prometheus.Labels) int
}

// Register implements prometheus.Registerer.
func (h *Handlers) Register(c prometheus.Collector) error {
	if err := h.Registerer.Register(c); err != nil {
		return err
	}
	if v, ok := c.(vec); ok {
		h.mu.Lock()
		h.vecs = append(h.vecs, v)
		h.mu.Unlock()
	}
	return nil
}

// Forget drops the series of a handler, such as "deliver.crm".
func (h *Handlers) Forget(handler string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.vecs {
		v.DeletePartialMatch(prometheus.Labels{"handler_name": handler})
	}
}
