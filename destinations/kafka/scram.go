package kafka

import (
	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// scramConversation adapts xdg-go/scram to sarama.SCRAMClient.
type scramConversation struct {
	*scram.ClientConversation
	hash scram.HashGeneratorFcn
}

func scramClient(mechanism string) func() sarama.SCRAMClient {
	hash := scram.SHA512
	if mechanism == sarama.SASLTypeSCRAMSHA256 {
		hash = scram.SHA256
	}
	return func() sarama.SCRAMClient { return &scramConversation{hash: hash} }
}

func (s *scramConversation) Begin(user, password, authz string) error {
	client, err := s.hash.NewClient(user, password, authz)
	if err == nil {
		s.ClientConversation = client.NewConversation()
	}
	return err
}
