package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// The mechanisms of SASL.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
	AWSMSKIAM   = "AWS_MSK_IAM"
)

// SASL configures the authentication. The mechanism decides which fields count.
type SASL struct {
	Mechanism      string
	User, Password string // PLAIN and SCRAM

	// OAUTHBEARER: the client credentials of an OpenID Connect provider.
	TokenURL, ClientID, ClientSecret string
	Scopes                           []string
	Audience                         string // "": not asked for
	Extensions                       map[string]string

	// AWS_MSK_IAM. Without an access key the credentials come from the environment, as for
	// AWS' own programs.
	AccessKey, SecretKey, SessionToken string
}

// check names the missing keys, as they are written in the configuration.
func (s *SASL) check() error {
	var need map[string]string
	switch s.Mechanism {
	case Plain, ScramSHA256, ScramSHA512:
		need = map[string]string{"user": s.User, "password": s.Password}
	case OAuthBearer:
		need = map[string]string{"token_url": s.TokenURL, "client_id": s.ClientID, "client_secret": s.ClientSecret}
	case AWSMSKIAM:
		if s.AccessKey != "" || s.SecretKey != "" || s.SessionToken != "" {
			need = map[string]string{"access_key": s.AccessKey, "secret_key": s.SecretKey}
		}
	default:
		return fmt.Errorf("sasl.mechanism: %q is not PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM", s.Mechanism)
	}
	var errs []error
	for _, key := range []string{"user", "password", "token_url", "client_id", "client_secret", "access_key", "secret_key"} {
		if v, needed := need[key]; needed && v == "" {
			errs = append(errs, fmt.Errorf("sasl.%s: required with sasl.mechanism %s", key, s.Mechanism))
		}
	}
	return errors.Join(errs...)
}

func (s *SASL) mechanism() sasl.Mechanism {
	switch s.Mechanism {
	case ScramSHA256:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism()
	case ScramSHA512:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism()
	case OAuthBearer:
		return oauth.Oauth(s.tokens())
	case AWSMSKIAM:
		if s.AccessKey == "" {
			return aws.ManagedStreamingIAM(roleCredentials())
		}
		return aws.Auth{AccessKey: s.AccessKey, SecretKey: s.SecretKey, SessionToken: s.SessionToken}.AsManagedStreamingIAMMechanism()
	default:
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()
	}
}

// roleCredentials finds credentials where AWS' own programs do: variables, shared files,
// the role of a pod, a task or a machine. Those of a role are renewed before they expire.
func roleCredentials() func(context.Context) (aws.Auth, error) {
	var mu sync.Mutex
	var found awssdk.CredentialsProvider
	return func(ctx context.Context) (aws.Auth, error) {
		mu.Lock()
		defer mu.Unlock()
		if found == nil {
			cfg, err := awsconfig.LoadDefaultConfig(ctx)
			if err != nil {
				return aws.Auth{}, fmt.Errorf("broker.sasl: cannot look up AWS credentials: %w", err)
			}
			found = cfg.Credentials
		}
		c, err := found.Retrieve(ctx)
		if err != nil {
			return aws.Auth{}, fmt.Errorf("broker.sasl: no AWS credentials; give access_key and secret_key, or a role: %w", err)
		}
		return aws.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
	}
}

// tokens requests a token from the provider, and renews it before it expires. Each new
// connection uses the present one.
func (s *SASL) tokens() func(context.Context) (oauth.Auth, error) {
	c := clientcredentials.Config{ClientID: s.ClientID, ClientSecret: s.ClientSecret, TokenURL: s.TokenURL, Scopes: s.Scopes}
	if s.Audience != "" {
		c.EndpointParams = map[string][]string{"audience": {s.Audience}}
	}
	source := c.TokenSource(context.Background())
	return func(context.Context) (oauth.Auth, error) {
		token, err := source.Token()
		if err != nil {
			return oauth.Auth{}, fmt.Errorf("broker.sasl.token_url: no token: %w", cleaned(err))
		}
		return oauth.Auth{Token: token.AccessToken, Extensions: s.Extensions}, nil
	}
}

// cleaned is a provider's refusal without its answer, which may contain anything.
func cleaned(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return err
	}
	if refused.ErrorCode != "" {
		return fmt.Errorf("the provider answers %s: %s", refused.Response.Status, refused.ErrorCode)
	}
	return fmt.Errorf("the provider answers %s", refused.Response.Status)
}
