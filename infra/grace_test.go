package infra

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

type testKey struct{}

func TestGraced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails on a goroutine that is left
		later, cut := context.WithCancel(t.Context())
		ctx, end := context.WithCancel(WithGrace(context.Background(), later))
		attempt, done := context.WithTimeout(Graced(context.WithValue(ctx, testKey{}, "v")), time.Minute)
		short, doneShort := context.WithTimeout(Graced(ctx), time.Second)
		defer done()
		defer doneShort()
		assert.Equal(t, "v", attempt.Value(testKey{}))

		end()
		synctest.Wait()
		assert.NoError(t, attempt.Err(), "it goes on")
		assert.Equal(t, ctx, Graced(ctx), "nothing begins any more")
		<-time.After(2 * time.Second)
		assert.ErrorIs(t, short.Err(), context.DeadlineExceeded)
		cut()
		synctest.Wait()
		assert.ErrorIs(t, attempt.Err(), context.Canceled)

		plain, end := context.WithCancel(context.Background())
		defer end()
		assert.Equal(t, plain, Graced(plain), "a subscriber that gives no grace")
	})
}
