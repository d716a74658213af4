package app_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/app"
	"eventserver/infra/progress"
	"eventserver/router/record"
)

// A kill between the storing of what was transformed and its commit made every
// such event twice. What stands in the destination's topic is not made again,
// unless the group was set back, by a replay or by Kafka's own tools.
func TestKillBetweenStoreAndCommit(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	broker := fmt.Sprintf("{kind: kafka, brokers: [%q], partitions: 4}", cluster.ListenAddrs()[0])
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)
	group := record.TransformGroup("p")
	commits := func() map[int32]kadm.OffsetResponse {
		t.Helper()
		all, err := admin.FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		return all[record.EventsTopic]
	}
	// back leaves the commits of a server that was killed before it could commit
	// any of what it did; without notes, those of a tool that sets the group back.
	back := func(notes bool) {
		t.Helper()
		to := kadm.Offsets{}
		for p, at := range commits() {
			text := ""
			if notes {
				state, err := progress.Codec{}.Decode(at.At, strings.TrimSuffix(at.Metadata, "="))
				if err != nil || state.Note == "" {
					t.Fatalf("the commit of partition %d has no note: %q, %v", p, at.Metadata, err)
				}
				text, _ = progress.Codec{Limit: 4096}.Encode(progress.State{Note: state.Note})
				text += "="
			}
			to.Add(kadm.Offset{Topic: record.EventsTopic, Partition: p, LeaderEpoch: -1, Metadata: text})
		}
		if err := admin.CommitAllOffsets(t.Context(), group, to); err != nil { // the server has left
			t.Fatal(err)
		}
	}
	n, stored := 0, 0
	// run starts the server, posts more events, waits for want deliveries and
	// tells which were not among the events of this run.
	run := func(more, want int) (old int) {
		t.Helper()
		p := newProbe("p")
		url, stop := start(t, broker, p)
		defer stop()
		first := n
		for range more {
			if code, text := post(t, url+"/v1/events", fmt.Sprintf(`{"id":"e%d","type":"t","userId":"u%d","n":%d}`, n, n%20, n)); code != 202 {
				t.Fatal(code, text)
			}
			n++
		}
		for _, d := range p.await(t, want) {
			var i int
			if _, err := fmt.Sscanf(d.EventID, "e%d", &i); err != nil {
				t.Fatal(err)
			}
			if i < first {
				old++
			}
		}
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
			done := int64(0)
			for _, at := range commits() {
				done += at.At
			}
			if done == int64(n) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d events are committed", done, n)
			}
		}
		stored += want
		got := int64(0)
		ends, err := admin.ListEndOffsets(t.Context(), record.DestinationTopic("p"))
		if err != nil {
			t.Fatal(err)
		}
		ends.Each(func(o kadm.ListedOffset) { got += o.Offset })
		if got != int64(stored) {
			t.Errorf("%d deliveries are stored, want %d", got, stored)
		}
		return old
	}
	run(60, 60)
	back(true)
	if old := run(40, 40); old != 0 {
		t.Errorf("after a kill %d events came again", old)
	}
	back(false)
	if old := run(20, 120); old != 100 {
		t.Errorf("after a reset %d events came again, want 100", old)
	}
	back(true) // a kill in the run after the reset: what stands from before it does not count
	if old := run(20, 20); old != 0 {
		t.Errorf("after a kill %d events came again", old)
	}
}

// A replay sends again what was delivered and not committed in a partition that
// has nothing else to be set back.
func TestReplayOfWhatIsNotCommitted(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	r := startReloading(t, fmt.Sprintf("{kind: kafka, brokers: [%q], partitions: 2}", cluster.ListenAddrs()[0]), steerText)
	var users [2]string // by partition
	for i := range 100 {
		user := fmt.Sprintf("u%d", i)
		place := kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: []byte(user)}, 2)
		users[place] = user
	}
	send := func(user string) {
		t.Helper()
		for range 10 {
			if code, text := post(t, r.url+"/v1/events", fmt.Sprintf(`{"userId":%q}`, user)); code != 202 {
				t.Fatal(code, text)
			}
		}
		r.probes["moving"].await(t, 10)
	}
	since := time.Now()
	planned := func(want int64) (plan app.ReplayPlan) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); plan.Events != want; <-time.After(10 * time.Millisecond) {
			var err error
			if plan, err = r.app.PlanReplay(t.Context(), "moving", since); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%+v, want %d events", plan, want)
			}
		}
		return plan
	}
	send(users[0])
	send(users[1])
	planned(20)
	<-time.After(5 * time.Millisecond) // records have times of milliseconds
	since = time.Now()
	// Nothing of partition 0 is kept until it has been set back, also not when it is
	// given up. The answer is one that the client does not ask again after.
	var over atomic.Bool
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		commit := req.(*kmsg.OffsetCommitRequest)
		if commit.Group != record.TransformGroup("moving") || over.Load() || !keepsMore(commit, 10) { // the replay's own says 10
			return nil, nil, false
		}
		answer := commit.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range commit.Topics {
			at := kmsg.NewOffsetCommitResponseTopic()
			at.Topic = topic.Topic
			for _, part := range topic.Partitions {
				no := kmsg.NewOffsetCommitResponseTopicPartition()
				no.Partition, no.ErrorCode = part.Partition, kerr.GroupAuthorizationFailed.Code
				at.Partitions = append(at.Partitions, no)
			}
			answer.Topics = append(answer.Topics, at)
		}
		return answer, nil, true
	})
	send(users[1])
	plan := planned(10)
	send(users[0])
	if _, err := r.app.Replay(t.Context(), "moving", since, "ada", plan.Events); err != nil {
		t.Fatal(err)
	}
	over.Store(true)
	r.probes["moving"].await(t, 20)
}

// keepsMore says whether a commit is beyond an offset in partition 0, or says that
// something beyond it is done.
func keepsMore(commit *kmsg.OffsetCommitRequest, than int64) bool {
	for _, topic := range commit.Topics {
		for _, part := range topic.Partitions {
			if part.Partition == 0 && (part.Offset > than || part.Metadata != nil && *part.Metadata != "") {
				return true
			}
		}
	}
	return false
}
