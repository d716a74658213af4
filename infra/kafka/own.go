package kafka

import (
	"time"

	"eventserver/infra"
)

// What this process appends need not be fetched: once Kafka has answered, the record goes
// to who is at the live end of its partition. A partition to which nobody else appends is
// not polled at all, but looked at every pollMost, in case somebody begins to.

// ownLeast is how many records of this process, and nobody else's, make a partition its
// own in the time of a sweep. One that is idle costs less in the poll.
const ownLeast = 20

// own gives a tail what this process has appended, in the order of the partition.
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

// check looks at the partitions that the poll leaves out.
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
