package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"eventserver/infra"
)

// Topics implements infra.Topics.
func (b *Broker) Topics(ctx context.Context) ([]string, error) {
	return inContext(ctx, func() ([]string, error) {
		// The client's own list keeps what was deleted.
		one := b.client.LeastLoadedBroker()
		if one == nil {
			return nil, sarama.ErrOutOfBrokers
		}
		if err := one.Open(b.client.Config()); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
			return nil, err
		}
		resp, err := one.GetMetadata(sarama.NewMetadataRequest(b.client.Config().Version, nil))
		if err != nil {
			return nil, err
		}
		var out []string
		for _, t := range resp.Topics {
			if t.Err == sarama.ErrNoError && strings.HasPrefix(t.Name, b.cfg.TopicPrefix) && !strings.HasPrefix(t.Name, "__") {
				out = append(out, b.logical(t.Name))
			}
		}
		slices.Sort(out)
		return out, nil
	})
}

// DeleteGroups implements infra.Groups.
func (b *Broker) DeleteGroups(ctx context.Context, groups ...string) error {
	for _, logical := range groups {
		members, err := b.Members(ctx, logical)
		if err != nil {
			return err
		}
		if len(members) > 0 {
			return fmt.Errorf("delete group %s: %w (%d)", b.group(logical), infra.ErrGroupBusy, len(members))
		}
	}
	for _, logical := range groups {
		g := b.group(logical)
		_, err := inContext(ctx, func() (struct{}, error) { return struct{}{}, b.admin.DeleteConsumerGroup(g) })
		b.asked(g, err)
		switch {
		case err == nil, errors.Is(err, sarama.ErrGroupIDNotFound):
		case errors.Is(err, sarama.ErrNonEmptyGroup):
			return fmt.Errorf("delete group %s: %w", g, infra.ErrGroupBusy)
		default:
			return fmt.Errorf("delete group %s: %w", g, err)
		}
	}
	return nil
}

// DeleteTopics implements infra.Topics.
func (b *Broker) DeleteTopics(ctx context.Context, topics ...string) error {
	for _, logical := range topics {
		real := b.topic(logical)
		_, err := inContext(ctx, func() (struct{}, error) { return struct{}{}, b.admin.DeleteTopic(real) })
		if err != nil && !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", real, err)
		}
	}
	_, err := inContext(ctx, func() (struct{}, error) { return struct{}{}, b.client.RefreshMetadata() })
	return err
}
