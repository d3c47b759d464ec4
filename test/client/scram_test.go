package client

import (
	"context"
	"testing"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/nodetest"
	"github.com/wirebird/wirebird/internal/scram"
	"github.com/wirebird/wirebird/packet"
)

func verifier(user, password string) string {
	return user + ":" + scram.Derive(password, []byte("salt of "+user), 4096).String() + "\n"
}

// scramNode is a broker that lets in who knows the password of alice.
func scramNode(t *testing.T) (url string) {
	t.Helper()
	file := nodetest.Write(t, "scram", verifier("alice", "correct horse"))
	return start(t, func(c *config.Config) { c.ScramFile = file })
}

func TestSCRAMLetsInWhoKnowsThePassword(t *testing.T) {
	url := scramNode(t)
	for name, tt := range map[string]struct {
		user, password string
		want           packet.ReasonCode
	}{
		"right password": {"alice", "correct horse", packet.Success},
		"wrong password": {"alice", "correct house", packet.NotAuthorized},
		"unknown user":   {"bob", "correct horse", packet.NotAuthorized},
		"odd user name":  {"a=b,c", "correct horse", packet.NotAuthorized},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			o := client.Options{URL: url, Auth: client.SCRAM(tt.user, tt.password)}
			if err := client.PublishOnce(ctx, o, client.Message{Topic: "a", QoS: 1}); packet.ReasonOf(err) != tt.want {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestSCRAMAuthenticatesAgain(t *testing.T) {
	url := scramNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a := &changing{client.SCRAM("alice", "correct horse")}
	c, err := client.Connect(ctx, client.Options{URL: url, Auth: a, Reconnect: client.ReconnectOptions{Off: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if err := c.Reauthenticate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Publish(ctx, client.Message{Topic: "a", QoS: 1}); err != nil {
		t.Error(err)
	}
	if s := c.Stats(); s.Connects != 1 {
		t.Errorf("%d connections, want 1", s.Connects)
	}
	a.Authenticator = client.SCRAM("alice", "correct house")
	if err := c.Reauthenticate(ctx); packet.ReasonOf(err) != packet.NotAuthorized {
		t.Errorf("with a wrong password: %v", err)
	}
	<-c.Done()
	if err := c.Err(); packet.ReasonOf(err) != packet.NotAuthorized {
		t.Errorf("the client ended with %v", err)
	}
}

// changing is an Authenticator whose password may change.
type changing struct{ client.Authenticator }
