package kafka

import (
	"time"

	"eventserver/infra"
)

// Records that this process appends need not be fetched. After Kafka's answer they go to
// the cursors at the live end of the partition. A partition to which nobody else appends is
// not polled, but checked every pollMost for records of others.

// ownLeast is the minimum number of records, all of this process, that make a partition its
// own in the time between two sweeps. An idle partition costs less in the poll.
const ownLeast = 20

// own gives a tail the records that this process has appended, in the order of the
// partition.
func (f *followers) own(at topicPartition, rec *infra.Record, producer int64) {
	f.self.Store(producer)
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tails[at]
	if t == nil {
		return
	}
	if t.appended(rec) && !t.moved {
		t.moved = true
		t.by.moved = append(t.by.moved, t)
	}
}

// check checks the partitions that the poll leaves out.
func (f *follower) check() {
	if time.Since(f.checked) < pollMost {
		return
	}
	f.checked = time.Now()
	req := newFetch()
	req.MaxWaitMillis, req.SessionEpoch = 0, -1 // it belongs to no session
	if f.polled == 0 {
		req.SessionID = f.session // it is closed
		f.session, f.epoch = 0, 0
	}
	for _, t := range f.tails {
		if next, own := t.place(); own {
			req.add(t.info, t.at.partition, next, tailBytes)
		}
	}
	if len(req.Topics) == 0 {
		return
	}
	resp, err := f.all.log.request(f.all.client, f.leader, req.FetchRequest)
	if err != nil {
		f.failed(resp)
		return
	}
	f.came(resp)
}
