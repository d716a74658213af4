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
	pub := m.Publisher("deliver.d", broken{})
	fails := m.Handler("deliver.d")(func(*message.Message) ([]*message.Message, error) { return nil, pub.Publish("t") })
	if _, err := fails(message.NewMessage("", nil)); !errors.Is(err, errBroken) {
		t.Errorf("the handler's error became %v", err)
	}
	works := m.Handler("transform.d")(func(*message.Message) ([]*message.Message, error) { return nil, nil })
	if _, err := works(message.NewMessage("", nil)); err != nil {
		t.Error(err)
	}
	const handled, published = "eventserver_watermill_handler_execution_time_seconds ", "eventserver_watermill_publish_time_seconds "
	want := map[string]uint64{
		handled + "deliver.d  true": 0, handled + "deliver.d  false": 1,
		handled + "transform.d  true": 1, handled + "transform.d  false": 0,
		published + "deliver.d metrics.broken true": 0, published + "deliver.d metrics.broken false": 1,
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
	m.ForgetHandler("deliver.d")
	m.ForgetHandler("transform.d")
	if left := counts(t, reg); len(left) != 0 {
		t.Errorf("after ForgetHandler there is still %v", left)
	}
}
