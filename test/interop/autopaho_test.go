package interop

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// managed is a client of autopaho: it connects, and connects again, by itself.
type managed struct {
	manager  *autopaho.ConnectionManager
	connacks chan *paho.Connack
	messages chan *paho.Publish
}

func openManaged(ctx context.Context, t *testing.T, u *url.URL, pair *certificate, clientID string) *managed {
	t.Helper()
	m := &managed{
		connacks: make(chan *paho.Connack, 10),
		messages: make(chan *paho.Publish, 1000),
	}
	var err error
	m.manager, err = autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls:                    []*url.URL{u},
		TlsCfg:                        pair.clientConfig(),
		KeepAlive:                     60,
		CleanStartOnInitialConnection: true,
		SessionExpiryInterval:         300,
		ReconnectBackoff:              autopaho.NewConstantBackoff(10 * time.Millisecond),
		ConnectTimeout:                patience,
		OnConnectionUp:                func(_ *autopaho.ConnectionManager, ack *paho.Connack) { m.connacks <- ack },
		OnConnectError:                func(err error) { t.Logf("%s: %v", clientID, err) },
		ClientConfig: paho.ClientConfig{
			ClientID: clientID,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){
				func(r paho.PublishReceived) (bool, error) {
					m.messages <- r.Packet
					return true, nil
				},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// receiveNext takes messages up to the one numbered n. Those the client had
// acknowledged just before its connection broke may come again, as duplicates.
func (m *managed) receiveNext(t *testing.T, n int) {
	t.Helper()
	for p := range until(t, m.messages, func(p *paho.Publish) bool { return string(p.Payload) == strconv.Itoa(n) }) {
		if number, err := strconv.Atoi(string(p.Payload)); err != nil || number > n || !p.Duplicate() {
			t.Fatalf("received %q, duplicate %t; want %d", p.Payload, p.Duplicate(), n)
		}
	}
}

// TestAutopahoResumesItsSession breaks the connection of a client while
// messages for it come in: all arrive, in order, with no new subscription.
func TestAutopahoResumesItsSession(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		sub := openManaged(ctx, t, u, pair, "sub")
		pub := openManaged(ctx, t, u, pair, "pub")
		for _, m := range []*managed{sub, pub} {
			if err := m.manager.AwaitConnection(ctx); err != nil {
				t.Fatalf("connect: %v", err)
			}
		}
		_, err := sub.manager.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "data", QoS: 1}}})
		if err != nil {
			t.Fatalf("subscribe: %v", err)
		}
		const rounds, each = 3, 20
		next := 0
		for range rounds {
			first := <-sub.connacks // of the connection that ends now
			if first.SessionPresent != (next > 0) {
				t.Errorf("CONNACK after %d messages has session present %t", next, first.SessionPresent)
			}
			sub.manager.TerminateConnectionForTest()
			for i := range each {
				message := &paho.Publish{Topic: "data", Payload: fmt.Append(nil, next+i), QoS: 1}
				if _, err := pub.manager.Publish(ctx, message); err != nil {
					t.Fatalf("publish: %v", err)
				}
			}
			for i := range each {
				sub.receiveNext(t, next+i)
			}
			next += each
		}
		for _, m := range []*managed{sub, pub} {
			if err := m.manager.Disconnect(ctx); err != nil {
				t.Errorf("disconnect: %v", err)
			}
		}
	})
}
