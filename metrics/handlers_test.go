package metrics

import (
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
)

type broken struct{ message.Publisher }

func (broken) Publish(string, ...*message.Message) error { return errBroken }

var errBroken = errors.New("broken")

// counts are the counts of the histograms of handlers: by name, handler and success.
func counts(t *testing.T, reg *prometheus.Registry) map[string]uint64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if h := labels["handler_name"]; h != "" {
				out[f.GetName()+" "+h+" "+labels["publisher_name"]+" "+labels["success"]] = m.GetHistogram().GetSampleCount()
			}
		}
	}
	return out
}

func TestHandlersAndTheirPublishers(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := New(reg)
	if err != nil {
		t.Fatal(err)
	}
	pub := m.Publisher("deliver", broken{})
	fails := m.Handler("deliver")(func(*message.Message) ([]*message.Message, error) { return nil, pub.Publish("t") })
	if _, err := fails(message.NewMessage("", nil)); !errors.Is(err, errBroken) {
		t.Errorf("the handler's error became %v", err)
	}
	works := m.Handler("transform")(func(*message.Message) ([]*message.Message, error) { return nil, nil })
	if _, err := works(message.NewMessage("", nil)); err != nil {
		t.Error(err)
	}
	const handled, published = "eventserver_watermill_handler_execution_time_seconds ", "eventserver_watermill_publish_time_seconds "
	want := map[string]uint64{
		handled + "deliver  true": 0, handled + "deliver  false": 1,
		handled + "transform  true": 1, handled + "transform  false": 0,
		published + "deliver metrics.broken true": 0, published + "deliver metrics.broken false": 1,
	}
	got := counts(t, reg)
	for name, n := range want {
		if have, there := got[name]; !there || have != n {
			t.Errorf("%s: %d, there: %v, want %d", name, have, there, n)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is not in the list of this test", name)
	}
}
