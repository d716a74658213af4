package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/destinations"
	"eventserver/destinations/cause"
	"eventserver/destinations/redact"
)

// ErrClosed is in the error of a Deliver after Close.
var ErrClosed = errors.New("kafka destination is closed")

// closeGrace is what Close gives sends under way before it cuts their
// connections. A healthy cluster needs milliseconds.
const closeGrace = 5 * time.Second

// dialPatience is what a try to connect may take as a whole.
const dialPatience = 10 * time.Second

// Destination produces to one topic. It is safe for many goroutines.
type Destination struct {
	id       string
	cfg      Config
	opts     []kgo.Opt
	grace    time.Duration
	patience time.Duration
	redactor *redact.Redactor
	ctx      context.Context // of the try to connect; ends with Close
	cancel   context.CancelFunc

	mu       sync.Mutex
	closed   bool
	sends    map[string]chan struct{} // by key: closed when the send has ended
	running  sync.WaitGroup           // sends; Add only with mu and !closed
	link     *link                    // nil: not connected
	dialling *dialling                // nil: nobody is connecting

	closeOnce sync.Once
}

// New reads the files that cfg names. It does not dial: that is for the first
// Deliver.
func New(id string, cfg Config) (*Destination, error) {
	if id == "" {
		return nil, errors.New("id: is missing")
	}
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	opts, err := cfg.client()
	if err != nil {
		return nil, err
	}
	if err := kgo.ValidateOpts(opts...); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background()) // ends with Close
	return &Destination{
		id: id, cfg: cfg, redactor: redact.New(cfg.SASL.Password.Reveal()), opts: opts, grace: closeGrace, patience: dialPatience,
		ctx: ctx, cancel: cancel, sends: map[string]chan struct{}{},
	}, nil
}

// ID is the destination's name.
func (d *Destination) ID() string { return d.id }

// Transform passes the event's data on as it is. The source goes along as a
// header, since a Delivery has no field for it and the CloudEvents binding
// cannot do without.
func (d *Destination) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	p := destinations.Payload{ContentType: e.ContentType, Body: e.Data}
	if e.Source != "" {
		p.Headers = map[string]string{headerSpecVersion: "1.0", headerSource: e.Source}
	}
	return p, nil
}

// Deliver sends one record. A record that no cluster would take is a permanent
// failure; everything else is the cluster's fault.
func (d *Destination) Deliver(ctx context.Context, del destinations.Delivery) error {
	if size := size(record(d.cfg.Topic, del)); size > d.cfg.MaxMessageBytes {
		return destinations.Permanent(fmt.Errorf("kafka: the record has %d bytes, max_message_bytes is %d", size, d.cfg.MaxMessageBytes))
	}
	done, err := d.begin(ctx, del.Key)
	if err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() {
		defer d.end(del.Key, done)
		result <- d.send(ctx, del)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ended(ctx)
	}
}

// begin waits until the last send of key has ended, however long after its
// Deliver that is.
func (d *Destination) begin(ctx context.Context, key string) (done chan struct{}, err error) {
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, destinations.Unavailable(ErrClosed)
		}
		last, busy := d.sends[key]
		if !busy {
			done = make(chan struct{})
			d.sends[key] = done
			d.running.Add(1)
			d.mu.Unlock()
			return done, nil
		}
		d.mu.Unlock()
		select {
		case <-last:
		case <-ctx.Done():
			return nil, ended(ctx)
		}
	}
}

func (d *Destination) end(key string, done chan struct{}) {
	d.mu.Lock()
	delete(d.sends, key)
	d.mu.Unlock()
	close(done)
	d.running.Done()
}

// ended is the error of an attempt whose context ended. A cluster that does
// not answer in time is away for every event.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return destinations.Unavailable(destinations.Late("kafka timeout: no answer before the attempt's deadline"))
	}
	return fmt.Errorf("kafka attempt was cancelled: %w", ctx.Err())
}

// send sends one record, in company first: the client library gathers those of
// concurrent calls into one batch, and a cluster refuses a batch as a whole. So
// a record that was refused is sent once more by itself, and that answer is its
// own. The key is taken meanwhile: no later record of it can come between.
func (d *Destination) send(ctx context.Context, del destinations.Delivery) error {
	l, err := d.connect()
	if err != nil {
		return d.failed(err, true)
	}
	if ctx.Err() != nil {
		return ended(ctx) // nobody waits for it, and the next attempt sends it
	}
	sent := record(d.cfg.Topic, del)
	err = l.company.ProduceSync(ctx, sent).FirstErr()
	if refused(err) {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		again := record(d.cfg.Topic, del)
		again.Partition = sent.Partition
		err = l.single(ctx, again)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ended(ctx)
	}
	return d.failed(err, false)
}

// failed says in our words what the client library says.
func (d *Destination) failed(err error, dialled bool) error {
	if errors.Is(err, kgo.ErrClientClosed) {
		return destinations.Unavailable(ErrClosed)
	}
	said := err
	text, known := cause.Words(err)
	text = d.redactor.Text(text, false)
	if known && dialled {
		text = "no broker can be reached: " + text
	}
	if text != err.Error() { // a cluster says in words of its own why it lets nobody in
		said = errors.New(text)
	}
	return verdict(err, fmt.Errorf("kafka: topic %s: %w", d.cfg.Topic, said))
}

// Close waits for the sends under way, a few seconds for a cluster that does
// not answer, and disconnects. Later calls wait too.
func (d *Destination) Close() error {
	d.closeOnce.Do(func() {
		d.mu.Lock()
		d.closed = true
		d.mu.Unlock()
		patience := time.AfterFunc(d.grace, d.cut)
		defer patience.Stop()
		d.running.Wait()
		d.cut()
	})
	return nil
}

// cut ends the connections, and with them the sends under way.
func (d *Destination) cut() {
	d.cancel()
	d.mu.Lock()
	l := d.link
	d.link = nil
	d.mu.Unlock()
	if l != nil {
		l.close()
	}
}
