package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router/record"
)

// committed waits until the groups have done all, and returns how far they are.
func committed(t *testing.T, a *App) string {
	t.Helper()
	var at []string
	ends := map[string]int64{}
	for _, of := range [][2]string{ // what the first stage has done has its place in the topic of the second
		{record.TransformGroup("log"), record.EventsTopic}, {record.DeliverGroup("log"), record.DestinationTopic("log")},
		{record.TransformGroup("bad"), record.EventsTopic}, {record.DeliverGroup("bad"), record.DestinationTopic("bad")},
	} {
		group, topic := of[0], of[1]
		var done map[int32]infra.Progress
		require.Eventually(t, func() (ok bool) {
			var err error
			done, err = infra.ProgressOf(t.Context(), a.broker, group, topic)
			return assert.NoError(t, err) && infra.Lag(done) == 0
		}, 20*time.Second, 20*time.Millisecond, group)
		at = append(at, fmt.Sprint(group, " ", done))
		for partition, p := range done {
			ends[fmt.Sprint(a.cfg.Broker.TopicPrefix, group, " ", a.cfg.Broker.TopicPrefix, topic, "/", partition)] = p.End
		}
	}
	if !InProcess(a.cfg) {
		at = append(at, clusterGroups(t, a.cfg, ends)...)
	}
	slices.Sort(at)
	return strings.Join(at, "\n")
}

// clusterGroups are the groups on the cluster, with all that they have committed, once
// the offset of each is the end: what ended out of order is in the metadata until then.
func clusterGroups(t *testing.T, cfg *config.Config, ends map[string]int64) (at []string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Broker.Brokers...))
	require.NoError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		at = nil
		groups, err := admin.ListGroups(t.Context())
		require.NoError(c, err)
		for _, g := range groups.Groups() {
			if !strings.HasPrefix(g, cfg.Broker.TopicPrefix) {
				continue // another test's
			}
			offsets, err := admin.FetchOffsets(t.Context(), g)
			require.NoError(c, err)
			offsets.Each(func(o kadm.OffsetResponse) {
				of := fmt.Sprint(g, " ", o.Topic, "/", o.Partition)
				if end, ok := ends[of]; ok {
					assert.Equal(c, end, o.At, of)
				}
				at = append(at, fmt.Sprint(of, "=", o.At, o.Metadata))
			})
			at = append(at, g)
		}
	}, 20*time.Second, 20*time.Millisecond)
	return at
}
