package interop

import (
	"crypto/tls"
	"fmt"
	"iter"
	"net"
	"net/url"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// goSchemes are the listeners the Go clients are tried on.
var goSchemes = []string{"tcp", "ws", "tls", "wss"}

// eachScheme runs a test against a new broker for each kind of listener.
func eachScheme(t *testing.T, test func(t *testing.T, b *broker, u *url.URL, pair *certificate)) {
	t.Helper()
	pair := newCertificate(t)
	for _, scheme := range goSchemes {
		t.Run(scheme, func(t *testing.T) {
			o := brokerOptions{}
			if scheme == "tls" || scheme == "wss" {
				o.listeners, o.pair = []string{"tls", "wss"}, pair
			}
			b := startBroker(t, o)
			test(t, b, b.url(scheme), pair)
		})
	}
}

// dial opens the connection that a Go client will use, for a test that breaks it.
func dial(u *url.URL, pair *certificate) (net.Conn, error) {
	switch u.Scheme {
	case "tcp":
		return net.DialTimeout("tcp", u.Host, patience)
	case "tls":
		return tls.Dial("tcp", u.Host, pair.clientConfig())
	default:
		return mqtt.NewWebsocket(u.String(), pair.clientConfig(), patience, nil, nil)
	}
}

// v3Client is a client of MQTT 3.1.1 that keeps its messages for the test.
type v3Client struct {
	t        *testing.T
	mqtt     mqtt.Client
	messages chan mqtt.Message
	resumed  bool // the broker had a session
}

// openV3 connects; change may set options first.
func openV3(t *testing.T, u *url.URL, pair *certificate, clientID string, change func(*mqtt.ClientOptions)) *v3Client {
	t.Helper()
	c := &v3Client{t: t, messages: make(chan mqtt.Message, 1000)}
	o := mqtt.NewClientOptions().AddBroker(u.String()).SetClientID(clientID).SetProtocolVersion(4).
		SetTLSConfig(pair.clientConfig()).SetAutoReconnect(false).SetConnectTimeout(patience).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.messages <- m })
	if change != nil {
		change(o)
	}
	c.mqtt = mqtt.NewClient(o)
	token := c.mqtt.Connect()
	c.finish(token, "connect "+clientID)
	c.resumed = token.(*mqtt.ConnectToken).SessionPresent()
	t.Cleanup(func() { c.mqtt.Disconnect(0) })
	return c
}

func (c *v3Client) finish(token mqtt.Token, what string) {
	c.t.Helper()
	if !token.WaitTimeout(patience) {
		c.t.Fatalf("%s: no answer", what)
	}
	if err := token.Error(); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

func (c *v3Client) subscribe(filter string, qos byte) {
	c.t.Helper()
	token := c.mqtt.Subscribe(filter, qos, nil)
	c.finish(token, "subscribe to "+filter)
	// The result names a shared subscription by the filter after its group.
	for _, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted != qos {
			c.t.Fatalf("subscription to %s is granted %#x, want %#x", filter, granted, qos)
		}
	}
}

func (c *v3Client) publish(topic, payload string, qos byte, retain bool) {
	c.t.Helper()
	c.finish(c.mqtt.Publish(topic, qos, retain, payload), "publish to "+topic)
}

// receive takes the next message, which must be the one described.
func (c *v3Client) receive(topic, payload string, qos byte, retained bool) {
	c.t.Helper()
	select {
	case m := <-c.messages:
		if m.Topic() != topic || string(m.Payload()) != payload || m.Qos() != qos || m.Retained() != retained {
			c.t.Fatalf("received %q on %s, QoS %d, retained %t; want %q on %s, QoS %d, retained %t",
				m.Payload(), m.Topic(), m.Qos(), m.Retained(), payload, topic, qos, retained)
		}
	case <-time.After(patience):
		c.t.Fatalf("%q on %s does not arrive", payload, topic)
	}
}

func TestPahoGoV3ExchangesAtEachQoS(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		a, b := openV3(t, u, pair, "a", nil), openV3(t, u, pair, "b", nil)
		a.subscribe("to/a", 2)
		b.subscribe("to/b", 2)
		for qos := range byte(3) {
			for i := range 20 {
				payload := fmt.Sprintf("QoS %d, %d", qos, i)
				a.publish("to/b", payload, qos, false)
				b.receive("to/b", payload, qos, false)
				b.publish("to/a", payload, qos, false)
				a.receive("to/a", payload, qos, false)
			}
		}
	})
}

func TestPahoGoV3RetainsMessages(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		a := openV3(t, u, pair, "a", nil)
		a.publish("state/x", "on", 1, true)
		b := openV3(t, u, pair, "b", nil)
		b.subscribe("state/#", 2)
		b.receive("state/x", "on", 1, true)
		a.publish("state/x", "", 1, true)
		b.receive("state/x", "", 1, false)
		c := openV3(t, u, pair, "c", nil)
		c.subscribe("state/#", 2)
		a.publish("state/y", "marker", 1, false)
		c.receive("state/y", "marker", 1, false)
	})
}

func TestPahoGoV3SessionSurvivesAndTheWillIsSent(t *testing.T) {
	eachScheme(t, func(t *testing.T, _ *broker, u *url.URL, pair *certificate) {
		watcher := openV3(t, u, pair, "watcher", nil)
		watcher.subscribe("gone", 1)
		var link net.Conn
		persistent := func(o *mqtt.ClientOptions) {
			o.SetCleanSession(false).SetWill("gone", "sleeper", 1, false)
			o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
				var err error
				link, err = dial(u, pair)
				return link, err
			})
		}
		sleeper := openV3(t, u, pair, "sleeper", persistent)
		if sleeper.resumed {
			t.Error("the first CONNACK says there is a session")
		}
		sleeper.subscribe("kept/+", 2)
		link.Close() // without DISCONNECT
		watcher.receive("gone", "sleeper", 1, false)
		for qos := byte(1); qos <= 2; qos++ {
			for i := range 10 {
				watcher.publish(fmt.Sprintf("kept/%d", qos), fmt.Sprint(i), qos, false)
			}
		}
		awake := openV3(t, u, pair, "sleeper", persistent)
		if !awake.resumed {
			t.Error("the second CONNACK says there is no session")
		}
		for qos := byte(1); qos <= 2; qos++ {
			for i := range 10 {
				awake.receive(fmt.Sprintf("kept/%d", qos), fmt.Sprint(i), qos, false)
			}
		}
	})
}

func TestPahoGoV3ShareGroupDividesTheWork(t *testing.T) {
	u, pair := startBroker(t, brokerOptions{}).url("tcp"), newCertificate(t)
	workers := []*v3Client{openV3(t, u, pair, "one", nil), openV3(t, u, pair, "two", nil)}
	for _, w := range workers {
		w.subscribe("$share/workers/jobs/+", 1)
		w.subscribe("end", 1)
	}
	boss := openV3(t, u, pair, "boss", nil)
	const count = 50
	for i := range count {
		boss.publish("jobs/a", fmt.Sprint(i), 1, false)
	}
	boss.publish("end", "", 1, false)
	done := map[string]int{}
	for i, w := range workers {
		own := 0
		for m := range until(t, w.messages, func(m mqtt.Message) bool { return m.Topic() == "end" }) {
			own++
			done[string(m.Payload())]++
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

// until yields the messages that come before the last one.
func until[M any](t *testing.T, messages <-chan M, last func(M) bool) iter.Seq[M] {
	return func(yield func(M) bool) {
		t.Helper()
		for {
			select {
			case m := <-messages:
				if last(m) || !yield(m) {
					return
				}
			case <-time.After(patience):
				t.Fatal("the last message does not arrive")
			}
		}
	}
}
