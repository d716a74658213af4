package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"

	"eventserver/app"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/local"
)

// Config has the kind's own keys below broker.
type Config struct {
	Secret destinations.Secret `yaml:"secret" required:"true" doc:"Secret that payloads are encrypted with."`
}

// Validate implements config.Validator.
func (c Config) Validate() error {
	if len(c.Secret.Reveal()) < 16 {
		return errors.New("secret: is shorter than 16 characters; give a longer one")
	}
	return nil
}

// sealed is an infra.Log. It inherits everything else from the embedded log.
type sealed struct {
	infra.Log

	aead cipher.AEAD
}

func open(_ context.Context, b app.BrokerConfig, c Config) (infra.Log, error) {
	key := sha256.Sum256([]byte(c.Secret.Reveal()))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	under, err := local.Open(local.Config{Dir: b.Dir, NoSync: !b.Sync, Partitions: b.Partitions,
		MaxRecordBytes: b.RecordBytes + aead.Overhead(), Logger: b.Logger, Fatal: b.Fatal, Damaged: b.Damaged})
	if err != nil {
		return nil, err
	}
	return &sealed{under, aead}, nil
}

// Limits implements infra.Log.
func (l *sealed) Limits() infra.Limits {
	limits := l.Log.Limits()
	limits.RecordBytes -= l.aead.Overhead()
	return limits
}

// Append implements infra.Log. It changes only the offsets and times of the caller's
// records.
func (l *sealed) Append(ctx context.Context, b infra.Batch) error {
	records := b.Records
	b.Records = make([]*infra.Record, len(records))
	for i, r := range records {
		s := *r
		s.Value = l.aead.Seal(nil, nil, r.Value, r.Key) //nolint:gosec // Seal makes its own random nonce
		b.Records[i] = &s
	}
	err := l.Log.Append(ctx, b)
	for i, s := range b.Records {
		records[i].Offset, records[i].Time = s.Offset, s.Time
	}
	return err
}

// Open implements infra.Log.
func (l *sealed) Open(ctx context.Context, topic string, partition int32, from int64) (infra.Cursor, error) {
	c, err := l.Log.Open(ctx, topic, partition, from)
	if err != nil {
		return nil, err
	}
	return &cursor{Cursor: c, log: l}, nil
}

// cursor decrypts the records that it reads.
type cursor struct {
	infra.Cursor

	log  *sealed
	rest []*infra.Record // read and not decrypted
}

// Read implements infra.Cursor. Other cursors may get the same records, so it makes its
// own. A record that cannot be decrypted is damage: it is reported and skipped.
func (c *cursor) Read(ctx context.Context, maxBytes int) (out []*infra.Record, err error) {
	if len(c.rest) == 0 {
		if c.rest, err = c.Cursor.Read(ctx, maxBytes); err != nil {
			return nil, err
		}
	}
	for len(c.rest) > 0 {
		r := *c.rest[0]
		if r.Value, err = c.log.aead.Open(nil, nil, r.Value, r.Key); err != nil {
			if len(out) > 0 {
				return out, nil // the next Read reports it
			}
			c.rest = c.rest[1:]
			return nil, &infra.DamageError{Topic: r.Topic, Partition: r.Partition, Offsets: infra.Span{From: r.Offset, To: r.Offset + 1},
				Err: fmt.Errorf("the payload was encrypted with another secret, or is damaged: %w", err)}
		}
		c.rest = c.rest[1:]
		out = append(out, &r)
	}
	return out, nil
}
