package kafka

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

// records counts the records of a produce request's batches: it is at a fixed
// place of a batch.
func records(req *kmsg.ProduceRequest) (batches []int) {
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			if len(p.Records) < 61 { // the client has withdrawn it
				batches = append(batches, 0)
				continue
			}
			b := p.Records[57:61]
			batches = append(batches, int(b[0])<<24|int(b[1])<<16|int(b[2])<<8|int(b[3]))
		}
	}
	return batches
}

// refuse answers a whole request with code.
func refuse(req *kmsg.ProduceRequest, code int16) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// together holds the first produce request, which has one record, until all the
// others are on their way, so that these share batches. It refuses by judge.
func together(t *testing.T, c *kfake.Cluster, d *Destination, dels []destinations.Delivery, judge func(*kmsg.ProduceRequest) int16) []error {
	t.Helper()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r := req.(*kmsg.ProduceRequest)
		if first.CompareAndSwap(false, true) {
			c.SleepControl(func() {
				close(arrived)
				<-goOn
			})
			return nil, nil, false
		}
		if code := judge(r); code != 0 {
			return refuse(r, code), nil, true
		}
		return nil, nil, false
	})
	ctx, cancel := context.WithTimeout(t.Context(), destinationtest.Soon)
	defer cancel()
	errs := make([]error, len(dels))
	var wg sync.WaitGroup
	deliver := func(i int) { wg.Go(func() { errs[i] = d.Deliver(ctx, dels[i]) }) }
	deliver(0)
	<-arrived
	for i := 1; i < len(dels); i++ {
		deliver(i)
	}
	for { // all are with the client library
		d.mu.Lock()
		n := len(d.sends)
		d.mu.Unlock()
		if n == len(dels) || ctx.Err() != nil {
			break
		}
		runtime.Gosched()
	}
	close(goOn)
	wg.Wait()
	return errs
}

func many(n int) (dels []destinations.Delivery) {
	for i := range n {
		dels = append(dels, delivery(fmt.Sprint("e", i), fmt.Sprint("user-", i)))
	}
	return dels
}

// A cluster judges a batch as a whole: what it refused in company was final for
// each record of it, and good events went to the poison queue.
func TestRefusedInCompanyIsSentAlone(t *testing.T) {
	for _, code := range []*kerr.Error{
		kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.CorruptMessage, kerr.TopicAuthorizationFailed,
		kerr.PolicyViolation, kerr.UnsupportedForMessageFormat, kerr.UnknownServerError, kerr.InvalidTopicException,
	} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			c := cluster(t, kfake.SeedTopics(1, "one"))
			d := open(t, Config{Brokers: c.ListenAddrs(), Topic: "one"})
			var refusals atomic.Int32
			errs := together(t, c, d, many(20), func(r *kmsg.ProduceRequest) int16 {
				if slices.Max(records(r)) > 1 {
					refusals.Add(1)
					return code.Code
				}
				return 0
			})
			for i, err := range errs {
				if err != nil {
					t.Errorf("record %d: %v", i, err)
				}
			}
			if refusals.Load() == 0 {
				t.Error("no records shared a batch")
			}
		})
	}
}

// What is refused alone keeps that verdict, and only that.
func TestBadRecordFailsNoOther(t *testing.T) {
	for code, want := range map[*kerr.Error]string{kerr.MessageTooLarge: "permanent", kerr.InvalidRecord: "permanent", kerr.CorruptMessage: "retry", kerr.PolicyViolation: "unavailable"} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			c := cluster(t, kfake.SeedTopics(1, "one"))
			d := open(t, Config{Brokers: c.ListenAddrs(), Topic: "one"})
			errs := together(t, c, d, many(20), func(r *kmsg.ProduceRequest) int16 {
				if strings.Contains(string(r.Topics[0].Partitions[0].Records), "user-7") {
					return code.Code
				}
				return 0
			})
			for i, err := range errs {
				if got := destinationtest.Verdict(err); i == 7 && got != want || i != 7 && got != "ok" {
					t.Errorf("record %d: %s: %v", i, got, err)
				}
			}
		})
	}
}

// The records of a key are in order, however many of them were refused in
// company and by whichever producer they went.
func TestOrderOfAKeyThroughRefusals(t *testing.T) {
	const users, each = 8, 12
	c := cluster(t)
	d := open(t, Config{Brokers: c.ListenAddrs()})
	var n atomic.Int32
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r := req.(*kmsg.ProduceRequest)
		if slices.Max(records(r)) > 1 || n.Add(1)%3 == 0 { // every third that is alone is refused too, and comes again
			return refuse(r, kerr.MessageTooLarge.Code), nil, true
		}
		return nil, nil, false
	})
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			for i := range each {
				del := delivery(fmt.Sprint(i), fmt.Sprint("user-", u))
				for d.Deliver(t.Context(), del) != nil && t.Context().Err() == nil { // the router's next attempt
				}
			}
		})
	}
	wg.Wait()
	seen := map[string][]string{}
	for _, r := range consume(t, c, users*each) {
		seen[string(r.Key)] = append(seen[string(r.Key)], string(r.Headers[0].Value))
	}
	for key, ids := range seen {
		for i, id := range ids {
			if id != fmt.Sprint(i) {
				t.Errorf("%s: %v", key, ids)
				break
			}
		}
	}
}

// A topic that takes less than max_message_bytes.
func TestSmallTopicTakesWhatFitsIt(t *testing.T) {
	limit := "50000"
	c := cluster(t)
	admin, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, "orders"
	conf := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	conf.Name, conf.Value = "max.message.bytes", &limit
	res.Configs = append(res.Configs, conf)
	req.Resources = append(req.Resources, res)
	if _, err := req.RequestWith(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	d := open(t, Config{Brokers: c.ListenAddrs()})
	dels := many(60)
	for i := range dels {
		dels[i].Payload.Body = []byte(`"` + strings.Repeat("x", 20_000) + `"`)
	}
	dels[13].Payload.Body = []byte(`"` + strings.Repeat("x", 60_000) + `"`)
	for i, err := range together(t, c, d, dels, func(*kmsg.ProduceRequest) int16 { return 0 }) {
		if got := destinationtest.Verdict(err); i == 13 && got != "permanent" || i != 13 && got != "ok" {
			t.Errorf("record %d: %s: %v", i, got, err)
		}
	}
}

// A cluster that lets nobody in says why in words of its own, which may repeat
// the password.
func TestAnswerToTheLoginHasNoPassword(t *testing.T) {
	c := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "me", "hunter2-password"))
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		got := string(req.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes)
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		said := fmt.Sprintf("not allowed: %s, %x", strings.ReplaceAll(got, "\x00", " "), got)
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &said
		return resp, nil, true
	})
	d := open(t, Config{Brokers: c.ListenAddrs(), SASL: SASL{Mechanism: "PLAIN", User: "me", Password: "hunter2-password"}})
	err := d.Deliver(t.Context(), delivery("e", "u"))
	if got := destinationtest.Verdict(err); got != "unavailable" || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), fmt.Sprintf("%x", "hunter2")) || !strings.Contains(err.Error(), "withheld") {
		t.Errorf("%s: %v", got, err)
	}
}
