package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
)

// Leave implements infra.Groups.
func (b *Broker) Leave(ctx context.Context, group string) error {
	if b.cfg.InstanceID == "" {
		return nil
	}
	members, err := b.Members(ctx, group)
	if err != nil {
		return err
	}
	real := b.group(group)
	var left []string
	b.mu.Lock()
	for _, m := range members {
		_, used := b.taken[m.Instance]
		ours := strings.HasPrefix(m.Instance, b.cfg.InstanceID+"."+real+".") || b.cfg.Stock && m.Instance == b.stockInstance(group)
		if ours && !used {
			left = append(left, m.Instance)
		}
	}
	b.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	_, err = inContext(ctx, func() (struct{}, error) {
		resp, err := b.admin.RemoveMemberFromConsumerGroup(real, left)
		b.asked(real, err)
		if err != nil {
			return struct{}{}, fmt.Errorf("leave group %s: %w", real, err)
		}
		var errs []error
		for _, m := range resp.Members {
			if m.Err != sarama.ErrNoError && m.Err != sarama.ErrUnknownMemberId { // its session has ended meanwhile
				errs = append(errs, fmt.Errorf("leave group %s: %w", real, m.Err))
			}
		}
		return struct{}{}, errors.Join(errs...)
	})
	return err
}
