package interop

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/extensions/rpc"
)

// v5Client is a client of MQTT 5.0 that keeps what arrives for the test.
type v5Client struct {
	t           *testing.T
	mqtt        *paho.Client
	conn        net.Conn
	connack     *paho.Connack
	messages    chan *paho.Publish
	disconnects chan *paho.Disconnect // from the broker
}

// openV5 connects; connect may be nil for a clean start without more.
func openV5(t *testing.T, u *url.URL, pair *certificate, clientID string, connect *paho.Connect) *v5Client {
	t.Helper()
	conn, err := dial(u, pair)
	if err != nil {
		t.Fatalf("dial %s: %v", u, err)
	}
	c := &v5Client{
		t:           t,
		conn:        conn,
		messages:    make(chan *paho.Publish, 1000),
		disconnects: make(chan *paho.Disconnect, 1),
	}
	c.mqtt = paho.NewClient(paho.ClientConfig{
		ClientID:           clientID,
		Conn:               packets.NewThreadSafeConn(conn),
		PacketTimeout:      patience,
		OnServerDisconnect: func(d *paho.Disconnect) { c.disconnects <- d },
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(r paho.PublishReceived) (bool, error) {
				c.messages <- r.Packet
				return true, nil
			},
		},
	})
	if connect == nil {
		connect = &paho.Connect{CleanStart: true}
	}
	connect.ClientID, connect.KeepAlive = clientID, 60
	if c.connack, err = c.mqtt.Connect(t.Context(), connect); err != nil {
		t.Fatalf("connect %s: %v", clientID, err)
	}
	t.Cleanup(func() { c.mqtt.Disconnect(&paho.Disconnect{}) }) // fails when the test has broken the connection
	return c
}

func (c *v5Client) subscribe(filter string, qos byte) {
	c.t.Helper()
	ack, err := c.mqtt.Subscribe(c.t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}})
	if err != nil {
		c.t.Fatalf("subscribe to %s: %v", filter, err)
	}
	if !slices.Equal(ack.Reasons, []byte{qos}) {
		c.t.Fatalf("subscription to %s is granted %#x, want %#x", filter, ack.Reasons, qos)
	}
}

func (c *v5Client) publish(p *paho.Publish) {
	c.t.Helper()
	if _, err := c.mqtt.Publish(c.t.Context(), p); err != nil {
		c.t.Fatalf("publish to %s: %v", p.Topic, err)
	}
}

// receive takes the next message, which must be the one described.
func (c *v5Client) receive(topic, payload string, qos byte, retained bool) *paho.Publish {
	c.t.Helper()
	select {
	case m := <-c.messages:
		if m.Topic != topic || string(m.Payload) != payload || m.QoS != qos || m.Retain != retained {
			c.t.Fatalf("received %q on %s, QoS %d, retained %t; want %q on %s, QoS %d, retained %t",
				m.Payload, m.Topic, m.QoS, m.Retain, payload, topic, qos, retained)
		}
		return m
	case <-time.After(patience):
		c.t.Fatalf("%q on %s does not arrive", payload, topic)
		return nil
	}
}

func TestPahoGoV5ExchangesAtEachQoS(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		a, b := openV5(t, u, pair, "a", nil), openV5(t, u, pair, "b", nil)
		a.subscribe("to/a", 2)
		b.subscribe("to/b", 2)
		for qos := range byte(3) {
			for i := range 20 {
				payload := fmt.Sprintf("QoS %d, %d", qos, i)
				a.publish(&paho.Publish{Topic: "to/b", Payload: []byte(payload), QoS: qos})
				b.receive("to/b", payload, qos, false)
				b.publish(&paho.Publish{Topic: "to/a", Payload: []byte(payload), QoS: qos})
				a.receive("to/a", payload, qos, false)
			}
		}
	})
}

func TestPahoGoV5RetainsMessages(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		a := openV5(t, u, pair, "a", nil)
		a.publish(&paho.Publish{Topic: "state/x", Payload: []byte("on"), QoS: 1, Retain: true,
			Properties: &paho.PublishProperties{ContentType: "text/plain"}})
		b := openV5(t, u, pair, "b", nil)
		b.subscribe("state/#", 2)
		if got := b.receive("state/x", "on", 1, true).Properties.ContentType; got != "text/plain" {
			t.Errorf("the retained message has content type %q", got)
		}
		a.publish(&paho.Publish{Topic: "state/x", QoS: 1, Retain: true})
		b.receive("state/x", "", 1, false)
		c := openV5(t, u, pair, "c", nil)
		c.subscribe("state/#", 2)
		a.publish(&paho.Publish{Topic: "state/y", Payload: []byte("marker"), QoS: 1})
		c.receive("state/y", "marker", 1, false)
	})
}

func TestPahoGoV5SessionSurvivesAndTheWillIsSent(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		expiry := uint32(300)
		persistent := func() *paho.Connect {
			return &paho.Connect{
				Properties:     &paho.ConnectProperties{SessionExpiryInterval: &expiry},
				WillMessage:    &paho.WillMessage{Topic: "gone", Payload: []byte("sleeper"), QoS: 1},
				WillProperties: &paho.WillProperties{User: paho.UserProperties{{Key: "why", Value: "crash"}}},
			}
		}
		watcher := openV5(t, u, pair, "watcher", nil)
		watcher.subscribe("gone", 1)
		sleeper := openV5(t, u, pair, "sleeper", persistent())
		if sleeper.connack.SessionPresent {
			t.Error("the first CONNACK says there is a session")
		}
		sleeper.subscribe("kept/+", 2)
		sleeper.conn.Close() // without DISCONNECT
		if got := watcher.receive("gone", "sleeper", 1, false).Properties.User.Get("why"); got != "crash" {
			t.Errorf("the will's user property is %q, want crash", got)
		}
		for qos := byte(1); qos <= 2; qos++ {
			for i := range 10 {
				watcher.publish(&paho.Publish{Topic: fmt.Sprintf("kept/%d", qos), Payload: fmt.Append(nil, i), QoS: qos})
			}
		}
		awake := openV5(t, u, pair, "sleeper", persistent())
		if !awake.connack.SessionPresent {
			t.Error("the second CONNACK says there is no session")
		}
		for qos := byte(1); qos <= 2; qos++ {
			for i := range 10 {
				awake.receive(fmt.Sprintf("kept/%d", qos), fmt.Sprint(i), qos, false)
			}
		}
	})
}

func TestPahoGoV5ShareGroupDividesTheWork(t *testing.T) {
	u, pair := startBroker(t, brokerOptions{}).url("tcp"), newCertificate(t)
	workers := []*v5Client{openV5(t, u, pair, "one", nil), openV5(t, u, pair, "two", nil)}
	for _, w := range workers {
		w.subscribe("$share/workers/jobs/+", 1)
		w.subscribe("end", 1)
	}
	boss := openV5(t, u, pair, "boss", nil)
	const count = 50
	for i := range count {
		boss.publish(&paho.Publish{Topic: "jobs/a", Payload: fmt.Append(nil, i), QoS: 1})
	}
	boss.publish(&paho.Publish{Topic: "end", QoS: 1})
	done := map[string]int{}
	for i, w := range workers {
		own := 0
		for m := range until(t, w.messages, func(m *paho.Publish) bool { return m.Topic == "end" }) {
			own++
			done[string(m.Payload)]++
		}
		if own == 0 {
			t.Errorf("worker %d of the group has no job", i)
		}
	}
	for i := range count {
		if n := done[fmt.Sprint(i)]; n != 1 {
			t.Errorf("job %d is done %d times, want once", i, n)
		}
	}
}

func TestPahoGoV5AnswersRequests(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		server := openV5(t, u, pair, "server", nil)
		server.subscribe("greet", 1)
		client := openV5(t, u, pair, "client", nil)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		handler, err := rpc.NewHandler(ctx, client.mqtt)
		if err != nil {
			t.Fatalf("subscribe to responses: %v", err)
		}
		answered := make(chan error, 1)
		go func() {
			select {
			case request := <-server.messages:
				_, err := server.mqtt.Publish(ctx, &paho.Publish{
					Topic:      request.Properties.ResponseTopic,
					Payload:    append([]byte("hello, "), request.Payload...),
					QoS:        1,
					Properties: &paho.PublishProperties{CorrelationData: request.Properties.CorrelationData},
				})
				answered <- err
			case <-ctx.Done():
				answered <- ctx.Err()
			}
		}()
		response, err := handler.Request(ctx, &paho.Publish{Topic: "greet", Payload: []byte("bird"), QoS: 1})
		if serverErr := <-answered; err != nil || serverErr != nil {
			t.Fatalf("request: %v; answer: %v", err, serverErr)
		}
		if got := string(response.Payload); got != "hello, bird" {
			t.Errorf("response is %q", got)
		}
	})
}

func TestSIGTERMTellsClientsWhy(t *testing.T) {
	if underTest() == mosquitto {
		t.Skip("Mosquitto 2.0 closes connections without a word")
	}
	eachScheme(t, func(t *testing.T, b *broker, u *url.URL, pair *certificate) {
		openV3(t, u, pair, "old", nil) // has no DISCONNECT to wait for, and must not hold up the end
		client := openV5(t, u, pair, "new", nil)
		if code := b.stop(); code != 0 {
			t.Errorf("broker exits %d after SIGTERM, want 0", code)
		}
		const serverShuttingDown = 0x8B
		select {
		case d := <-client.disconnects:
			if d.ReasonCode != serverShuttingDown {
				t.Errorf("DISCONNECT has reason code %#x, want %#x", d.ReasonCode, serverShuttingDown)
			}
		case <-time.After(patience):
			t.Error("no DISCONNECT comes")
		}
	})
}
