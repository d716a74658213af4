package kafka

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sasl/aws"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{Plain, ScramSHA256, ScramSHA512} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			c := cluster(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "ada", "right"))
			cfg := testConfig(c.ListenAddrs()...)
			cfg.SASL = &SASL{Mechanism: mechanism, User: "ada", Password: "right"}
			l := openLog(t, cfg)
			_, err := l.Topics(t.Context())
			require.NoError(t, err)
			cfg.SASL = &SASL{Mechanism: mechanism, User: "ada", Password: "wrong-password"}
			_, err = Open(t.Context(), cfg)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "wrong-password")
		})
	}
}

func TestMissingKeysOfAuthentication(t *testing.T) {
	for want, s := range map[string]SASL{
		`sasl.mechanism: "GSSAPI" is not `:                             {Mechanism: "GSSAPI"},
		"sasl.user: required with sasl.mechanism PLAIN":                {Mechanism: Plain, Password: "p"},
		"sasl.token_url: required with sasl.mechanism OAUTHBEARER":     {Mechanism: OAuthBearer, ClientID: "i", ClientSecret: "s"},
		"sasl.client_secret: required with sasl.mechanism OAUTHBEARER": {Mechanism: OAuthBearer, ClientID: "i", TokenURL: "http://x"},
		"sasl.secret_key: required with sasl.mechanism AWS_MSK_IAM":    {Mechanism: AWSMSKIAM, AccessKey: "a"},
	} {
		_, err := Open(t.Context(), Config{Brokers: []string{"127.0.0.1:1"}, SASL: &s})
		require.ErrorContains(t, err, want)
	}
	assert.Equal(t, "AWS_MSK_IAM", (&SASL{Mechanism: AWSMSKIAM, AccessKey: "a", SecretKey: "s"}).mechanism().Name())
}

// Without an access key a role of AWS is taken, as a pod has it: its token is changed for
// credentials, which are kept until they expire.
func TestRoleOfAWS(t *testing.T) {
	asked := 0
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if assert.NoError(t, r.ParseForm()) {
			assert.Equal(t, []string{"AssumeRoleWithWebIdentity", "arn:aws:iam::1:role/events", "of the pod"}, []string{r.Form.Get("Action"), r.Form.Get("RoleArn"), r.Form.Get("WebIdentityToken")})
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
			<AccessKeyId>key</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>` +
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`))
	}))
	defer sts.Close()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("of the pod"), 0o600))
	for name, value := range map[string]string{
		"AWS_ROLE_ARN": "arn:aws:iam::1:role/events", "AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_STS": sts.URL,
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	s := &SASL{Mechanism: AWSMSKIAM}
	require.NoError(t, s.check())
	credentials := roleCredentials()
	for range 2 {
		got, err := credentials(t.Context())
		require.NoError(t, err)
		assert.Equal(t, aws.Auth{AccessKey: "key", SecretKey: "secret", SessionToken: "session"}, got)
	}
	assert.Equal(t, 1, asked)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file+".gone")
	_, err := roleCredentials()(t.Context())
	require.ErrorContains(t, err, "broker.sasl: no AWS credentials; give access_key and secret_key, or a role: ")
}

// A token is asked for with the client's credentials, and again when it has expired; a
// refusal names the key and nothing of what the provider answered beside its code.
func TestTokens(t *testing.T) {
	t.Parallel()
	asked, refuse := 0, false
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if assert.NoError(t, r.ParseForm()) {
			assert.Equal(t, []string{"client_credentials", "kafka read", "cluster"}, []string{r.Form.Get("grant_type"), r.Form.Get("scope"), r.Form.Get("audience")})
		}
		assert.Equal(t, []string{"id", "geheim"}, []string{id, secret})
		asked++
		w.Header().Set("Content-Type", "application/json")
		if refuse {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"geheim"}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"t1","token_type":"bearer","expires_in":1}`)) // is as good as expired
	}))
	defer provider.Close()
	s := &SASL{Mechanism: OAuthBearer, TokenURL: provider.URL, ClientID: "id", ClientSecret: "geheim", Scopes: []string{"kafka", "read"}, Audience: "cluster",
		Extensions: map[string]string{"logicalCluster": "lkc-1"}}
	require.NoError(t, s.check())
	token := s.tokens()
	for n := range 2 {
		got, err := token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "t1", got.Token)
		assert.Equal(t, s.Extensions, got.Extensions)
		assert.Equal(t, n+1, asked)
	}
	refuse = true
	_, err := token(t.Context())
	require.EqualError(t, err, "broker.sasl.token_url: no token: the provider answers 401 Unauthorized: invalid_client")
	provider.Close()
	began := time.Now()
	_, err = token(t.Context())
	require.ErrorContains(t, err, "broker.sasl.token_url: no token: ")
	assert.NotContains(t, err.Error(), "geheim")
	t.Logf("unreachable after %v", time.Since(began))
}
