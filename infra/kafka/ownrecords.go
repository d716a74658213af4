package kafka

import (
	"time"

	"eventserver/infra"
)

// Records that this process appends need not be fetched. After Kafka's answer they go to
// the cursors at the live end of the partition. A partition to which nobody else appends is
// not polled, but checked every maxPollWait for records of others.

// minOwnRecords is the minimum number of records, all of this process, that make a partition its
// own in the time between two checks of the tails. An idle partition costs less in the poll.
const minOwnRecords = 20

// addOwn gives a tail the records that this process has appended, in the order of the
// partition.
func (f *followers) addOwn(at topicPartition, rec *infra.Record, producer int64) {
	f.producerID.Store(producer)
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tails[at]
	if t == nil {
		return
	}
	if t.addOwn(rec) && !t.queued {
		t.queued = true
		t.follower.advanced = append(t.follower.advanced, t)
	}
}

// pollOwn checks the partitions that the poll leaves out.
func (f *follower) pollOwn() {
	if time.Since(f.lastOwnPoll) < maxPollWait {
		return
	}
	f.lastOwnPoll = time.Now()
	req := newFetch()
	req.MaxWaitMillis, req.SessionEpoch = 0, -1 // it belongs to no session
	if f.polled == 0 {
		req.SessionID = f.session // it is closed
		f.session, f.epoch = 0, 0
	}
	for _, t := range f.tails {
		if next, own := t.nextFetch(); own {
			req.add(t.info, t.at.partition, next, maxTailBytes)
		}
	}
	if len(req.Topics) == 0 {
		return
	}
	resp, err := f.all.log.request(f.all.client, f.leader, req.FetchRequest)
	if err != nil {
		f.resetSession(resp)
		return
	}
	f.deliver(resp)
}
