package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router"
)

// committed waits until the groups have done all, and returns how far they are.
func committed(t *testing.T, a *App) string {
	t.Helper()
	var at []string
	for group, topic := range map[string]string{
		router.TransformGroup("log"): router.EventsTopic, router.DeliverGroup("log"): router.DestinationTopic("log"),
		router.TransformGroup("bad"): router.EventsTopic, router.DeliverGroup("bad"): router.DestinationTopic("bad"),
	} {
		var done map[int32]infra.Progress
		require.Eventually(t, func() (ok bool) {
			var err error
			done, err = a.broker.Progress(t.Context(), group, topic)
			return assert.NoError(t, err) && infra.Lag(done) == 0
		}, 20*time.Second, 20*time.Millisecond, group)
		at = append(at, fmt.Sprint(group, " ", done))
	}
	if !InProcess(a.cfg) {
		at = append(at, clusterGroups(t, a.cfg)...)
	}
	slices.Sort(at)
	return strings.Join(at, "\n")
}

// clusterGroups are the groups on the cluster, with all that they have committed.
func clusterGroups(t *testing.T, cfg *config.Config) (at []string) {
	t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	clients, err := sarama.NewClusterAdmin(cfg.Broker.Brokers, c)
	require.NoError(t, err)
	defer func() { assert.NoError(t, clients.Close()) }()
	groups, err := clients.ListConsumerGroups()
	require.NoError(t, err)
	for g := range groups {
		if !strings.HasPrefix(g, cfg.Broker.TopicPrefix) {
			continue // another test's
		}
		resp, err := clients.ListConsumerGroupOffsets(g, nil)
		require.NoError(t, err)
		for _, topics := range resp.Groups {
			for topic, parts := range topics.Blocks {
				for p, b := range parts {
					at = append(at, fmt.Sprint(g, " ", topic, "/", p, "=", b.Offset, b.Metadata))
				}
			}
		}
		at = append(at, g)
	}
	return at
}
