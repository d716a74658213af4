package kafka

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

func (p *pace) many(n int, took time.Duration) {
	for range n {
		<-time.After(took)
		p.took(took)
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	const least = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		var p pace
		p.many(100, 30*time.Millisecond)
		assert.Equal(t, least, p.commit(least), "a distant cluster is not busy")
		assert.Zero(t, p.fetch())

		p = pace{}
		p.many(100, time.Millisecond)
		p.many(100, 5*time.Millisecond)
		assert.InDelta(t, 4*commitPace*time.Millisecond, p.commit(least), float64(time.Millisecond))
		assert.InDelta(t, 4*fetchPace*time.Millisecond, p.fetch(), float64(time.Millisecond))
		p.many(100, time.Second/5)
		assert.Equal(t, mostCommitPace, p.commit(least))
		assert.Equal(t, time.Second, p.commit(time.Second), "where commits are dear")
		assert.Equal(t, mostFetchPace, p.fetch())
		<-time.After(2 * paceLasts)
		assert.Zero(t, p.fetch(), "nothing to go by")
		p.many(100, time.Millisecond)
		assert.Equal(t, least, p.commit(least), "it is over")

		p.many(3*int(bestPeriod/(time.Second/5)), time.Second/5) // for good: the cluster has moved away
		assert.Equal(t, least, p.commit(least))
	})
}

// frame is a request of a kind.
func frame(kind uint16) []byte {
	b := make([]byte, 40)
	binary.BigEndian.PutUint32(b, 36)
	binary.BigEndian.PutUint16(b[4:], kind)
	return b
}

func TestPacedConn(t *testing.T) {
	t.Parallel()
	const heartbeat = 12
	for name, c := range map[string]struct {
		got   int // bytes, before
		write []byte
		waits bool
	}{
		"a fetch after records":         {4000, frame(fetchKey), true},
		"a fetch after none":            {50, frame(fetchKey), false},
		"another request":               {4000, frame(heartbeat), false},
		"what only begins like a fetch": {4000, append(frame(fetchKey), 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				var p pace
				p.busy.Store(int64(5 * time.Millisecond))
				p.last.Store(time.Now().UnixNano())
				conn := &pacedConn{Conn: here, pace: &p}
				go func() {
					_, _ = there.Write(make([]byte, c.got))
					for b := make([]byte, 100); ; {
						if _, err := there.Read(b); err != nil {
							return
						}
					}
				}()
				for b := make([]byte, 1000); conn.got.Load() < int64(c.got); {
					_, err := conn.Read(b)
					require.NoError(t, err)
				}
				began := time.Now()
				_, err := conn.Write(c.write)
				require.NoError(t, err)
				want := time.Duration(0)
				if c.waits {
					want = 5 * fetchPace * time.Millisecond
				}
				assert.Equal(t, want, time.Since(began))
				_, err = conn.Write(frame(fetchKey)) // it brought nothing since
				require.NoError(t, err)
				if c.waits {
					assert.Equal(t, want, time.Since(began))
				}
				_ = here.Close()
				_ = there.Close()
			})
		})
	}
}

// watching is a dialer that notes what is written on its connections.
type watching struct {
	under interface {
		Dial(network, addr string) (net.Conn, error)
	}
	mu      sync.Mutex
	kinds   map[int]int
	strange int // writes that are no request
}

type watchedConn struct {
	net.Conn
	w *watching
}

func (w *watching) Dial(network, addr string) (net.Conn, error) {
	conn, err := w.under.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	if _, paced := conn.(*pacedConn); !paced {
		return nil, net.UnknownNetworkError("not paced")
	}
	return watchedConn{conn, w}, nil
}

func (c watchedConn) Write(b []byte) (int, error) {
	c.w.mu.Lock()
	if k := kind(b); k < 0 {
		c.w.strange++
	} else {
		c.w.kinds[k]++
	}
	c.w.mu.Unlock()
	return c.Conn.Write(b)
}

// tlsPair is a server's configuration and that of a client that trusts it.
func tlsPair(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	web := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	t.Cleanup(web.Close)
	return &tls.Config{Certificates: web.TLS.Certificates},
		&tls.Config{RootCAs: web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

// The pace depends on how sarama writes: a request in one call, with TLS too.
func TestSaramaWritesARequestInOneCall(t *testing.T) {
	t.Parallel()
	server, client := tlsPair(t)
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opts []kfake.Opt
			if secure {
				opts = append(opts, kfake.TLS(server))
			}
			cfg := testConfig(cluster(t, opts...).ListenAddrs()...)
			cfg.Partitions = 1
			if secure {
				cfg.TLS = client
			}
			b := open(t, cfg)
			ensure(t, b, topic)
			require.NoError(t, b.Publisher(infra.Durable).Publish(topic, message.NewMessage("a", []byte("a"))))
			s := b.cfg.group("")
			(&pacedDialer{pace: &b.pace}).on(s)
			w := &watching{under: s.Net.Proxy.Dialer, kinds: map[int]int{}}
			s.Net.Proxy.Dialer = w
			consumer, err := sarama.NewConsumer(cfg.Brokers, s)
			require.NoError(t, err)
			pc, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
			require.NoError(t, err)
			<-pc.Messages()
			require.NoError(t, pc.Close())
			require.NoError(t, consumer.Close())
			w.mu.Lock()
			defer w.mu.Unlock()
			assert.Zero(t, w.strange)
			assert.NotZero(t, w.kinds[fetchKey])
		})
	}
}

// Only commits that were made and accepted tell how busy the cluster is. A wake
// for nothing took no time and a refusal hardly any: a cluster that needs 20 ms
// for each commit was busy for ever.
func TestPaceGoesByCommitsAlone(t *testing.T) {
	t.Parallel()
	const takes = 20 * time.Millisecond
	c := cluster(t)
	cfg := testConfig(c.ListenAddrs()...)
	cfg.CommitInterval, cfg.Partitions = 10*time.Millisecond, 1
	b := open(t, cfg)
	ensure(t, b, topic)
	var commits atomic.Int64
	c.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if commits.Add(1) == 3 { // as in a rebalance
			return refusal(req.(*kmsg.OffsetCommitRequest), kerr.RebalanceInProgress), nil, true
		}
		c.SleepControl(func() { <-time.After(takes) })
		return nil, nil, false
	})
	_, in := subscribe(t, b)
	for n := 0; commits.Load() < 20; n++ {
		publish(t, b, "u", n, 1)
		receive(t, in).Ack()
		wake(b)
	}
	b.pace.mu.Lock()
	defer b.pace.mu.Unlock()
	assert.GreaterOrEqual(t, b.pace.best[0], takes)
}

// wake has the committers look when nothing new is done.
func wake(b *Broker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		for _, sub := range s.subs {
			sub.mu.Lock()
			for cl := range sub.claims {
				cl.commits.due()
			}
			sub.mu.Unlock()
		}
	}
}

func refusal(req *kmsg.OffsetCommitRequest, with *kerr.Error) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, asked := range req.Topics {
		of := kmsg.OffsetCommitResponseTopic{Topic: asked.Topic}
		for _, p := range asked.Partitions {
			of.Partitions = append(of.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: with.Code})
		}
		resp.Topics = append(resp.Topics, of)
	}
	return resp
}

// A member gets in with a client's certificate and a password too.
func TestPacedMemberWithTLSAndSASL(t *testing.T) {
	t.Parallel()
	server, client := tlsPair(t)
	server.ClientAuth, client.Certificates = tls.RequireAnyClientCert, server.Certificates
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-512"} {
		c := cluster(t, kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser(mechanism, "u", "p"))
		cfg := testConfig(c.ListenAddrs()...)
		cfg.TLS, cfg.SASL = client, &SASL{mechanism, "u", "p"}
		b := open(t, cfg)
		ensure(t, b, topic)
		publish(t, b, "u", 0, 3)
		_, in := subscribe(t, b)
		for range 3 {
			receive(t, in).Ack()
		}
	}
}
