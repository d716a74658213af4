package router

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"pgregory.net/rapid"

	"eventserver/infra"
)

// groupRun is one run of TestGroupsProperty: messages of two claims, handlers
// that ack, nack, take apart and take their time by chance, and perhaps a claim
// that ends or a drain in the middle.
type groupRun struct {
	grouping      Grouping
	seed          uint64
	messages      int
	keys          int
	endsAt        time.Duration // of the first claim; 0: never
	drainsAt      time.Duration // 0: never
	handlers      int
	chance        float64 // of a nack and of a member that comes apart
	sent          [][]*message.Message
	mu            sync.Mutex
	rnd           *rand.Rand
	busy          map[string]bool
	done          map[string][]string
	groups, parts int
	err           error
}

func (r *groupRun) fault(format string, args ...any) {
	r.err = errors.Join(r.err, fmt.Errorf(format, args...))
}

// handle is one handler.
func (r *groupRun) handle(out <-chan *message.Message) {
	for msg := range out {
		g := groupOf(msg)
		members := []member{{msg: msg, key: msg.Metadata.Get(infra.MetaKey)}}
		if g != nil {
			members = g.members
		}
		r.mu.Lock()
		mine := map[string]bool{}
		bytes := 0
		for _, m := range members {
			if r.busy[m.key] && !mine[m.key] {
				r.fault("%s is in the handler twice", m.key)
			}
			if g == nil && r.grouping.on() && msg.Context().Value(apartKey{}) == nil {
				r.fault("%s came alone without having come apart", msg.UUID)
			}
			r.busy[m.key], mine[m.key] = true, true
			bytes += len(m.msg.Payload)
		}
		if g != nil {
			r.groups++
			if len(members) > r.grouping.MaxEvents || r.grouping.MaxBytes > 0 && len(members) > 1 && bytes > r.grouping.MaxBytes {
				r.fault("a group of %d messages and %d bytes", len(members), bytes)
			}
		}
		nack, wait := r.rnd.Float64() < r.chance, time.Duration(r.rnd.IntN(20))*time.Millisecond
		r.mu.Unlock()
		<-time.After(wait)
		r.mu.Lock()
		stuck := map[string]bool{} // keys of which one came apart
		for i, m := range members {
			if nack {
				continue
			}
			if g != nil && (stuck[m.key] || r.rnd.Float64() < r.chance) {
				members[i].apart, stuck[m.key] = true, true
				r.parts++
				continue
			}
			r.done[m.key] = append(r.done[m.key], m.msg.UUID)
		}
		for key := range mine {
			delete(r.busy, key)
		}
		r.mu.Unlock()
		if nack {
			msg.Nack()
		} else {
			msg.Ack()
		}
	}
}

func (r *groupRun) play(t *testing.T) {
	r.rnd = rand.New(rand.NewPCG(r.seed, 1))
	r.busy, r.done, r.sent = map[string]bool{}, map[string][]string{}, make([][]*message.Message, r.keys)
	sub := newChanSub()
	o := NewOrdered(sub, r.grouping)
	out, err := o.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	claims := [2]context.Context{}
	var end context.CancelFunc
	claims[0], end = context.WithCancel(context.Background())
	defer end()
	claims[1] = context.Background()
	var handlers sync.WaitGroup
	for range r.handlers {
		handlers.Go(func() { r.handle(out) })
	}
	if r.endsAt > 0 {
		time.AfterFunc(r.endsAt, end)
	}
	if r.drainsAt > 0 {
		time.AfterFunc(r.drainsAt, func() {
			if err := o.Drain(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	arrivals := rand.New(rand.NewPCG(r.seed, 2))
	for n := range r.messages {
		k := arrivals.IntN(r.keys)
		m := within(claims[k%2], record(fmt.Sprint("k", k), fmt.Sprintf("k%d/%03d", k, n)))
		m.Payload = make([]byte, arrivals.IntN(40))
		r.sent[k] = append(r.sent[k], m)
		sub.ch <- m
		if arrivals.IntN(4) == 0 {
			<-time.After(time.Duration(arrivals.IntN(5)) * time.Millisecond)
		}
	}
	elapse(time.Hour)
	if s := o.State(); s.Held != 0 || s.BlockedKeys != 0 {
		r.fault("at the end %d are held and %d keys blocked", s.Held, s.BlockedKeys)
	}
	for k, sent := range r.sent {
		key := fmt.Sprint("k", k)
		var acked, all []string
		for _, m := range sent {
			all = append(all, m.UUID)
			switch verdict(m) {
			case "":
				r.fault("%s has no verdict", m.UUID)
			case "acked":
				acked = append(acked, m.UUID)
			}
		}
		whole := r.drainsAt == 0 && (r.endsAt == 0 || k%2 == 1)
		if whole && len(acked) != len(sent) {
			r.fault("%s: %d of %d acked", key, len(acked), len(sent))
		}
		if got := strings.Join(r.done[key], " "); got != strings.Join(acked, " ") || !strings.HasPrefix(strings.Join(all, " "), got) {
			r.fault("%s: done %v, acked %v of %v", key, r.done[key], acked, all)
		}
	}
	_ = o.Close()
	handlers.Wait()
	synctest.Wait()
}

// Whatever handlers do, a key is in one group at a time, what is done of it is
// a beginning of what came, each once and in order, what is acked is what was
// done, and everything gets a verdict.
func TestGroupsProperty(t *testing.T) {
	groups, parts := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := &groupRun{
			grouping: Grouping{
				MaxEvents: rapid.IntRange(2, 6).Draw(rt, "max events"), MaxBytes: rapid.SampledFrom([]int{0, 60}).Draw(rt, "max bytes"),
				MaxWait: rapid.SampledFrom([]time.Duration{0, 7 * time.Millisecond}).Draw(rt, "max wait"),
				AtOnce:  rapid.IntRange(1, 3).Draw(rt, "at once"),
			},
			seed: rapid.Uint64().Draw(rt, "seed"), messages: rapid.IntRange(1, 120).Draw(rt, "messages"), keys: rapid.IntRange(1, 12).Draw(rt, "keys"),
			endsAt:   rapid.SampledFrom([]time.Duration{0, 0, 11 * time.Millisecond, 55 * time.Millisecond}).Draw(rt, "claim ends at"),
			drainsAt: rapid.SampledFrom([]time.Duration{0, 0, 0, 33 * time.Millisecond}).Draw(rt, "drains at"),
			handlers: rapid.IntRange(1, 6).Draw(rt, "handlers"), chance: rapid.SampledFrom([]float64{0, 0.1, 0.3}).Draw(rt, "chance"),
		}
		synctest.Test(t, r.play)
		groups, parts = groups+r.groups, parts+r.parts
		if r.err != nil {
			rt.Fatal(r.err)
		}
	})
	if groups == 0 || parts == 0 {
		t.Errorf("%d groups, %d came apart: nothing was shown", groups, parts)
	}
}
