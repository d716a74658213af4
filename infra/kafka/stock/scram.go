package stock

import (
	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// scramConversation adapts xdg-go/scram to sarama.SCRAMClient.
type scramConversation struct {
	hash scram.HashGeneratorFcn
	conv *scram.ClientConversation
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
	if err != nil {
		return err
	}
	s.conv = client.NewConversation()
	return nil
}

func (s *scramConversation) Step(challenge string) (string, error) { return s.conv.Step(challenge) }
func (s *scramConversation) Done() bool                            { return s.conv.Done() }
