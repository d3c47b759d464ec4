package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

func message(topic, payload string, qos byte, retain bool) *packet.Publish {
	m := &packet.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos, Retain: retain}
	if qos > 0 {
		m.ID = 9
	}
	return m
}

func TestSubPrintsWhatItIsAskedFor(t *testing.T) {
	some := []*packet.Publish{
		message("a/old", "0", 0, true), message("a/b", "1", 0, false), message("a/c", "2", 1, false), message("a/end", "3", 0, false),
	}
	for name, tt := range map[string]struct {
		args   string
		want   string
		status int
	}{
		"payloads":          {"-C 4", "0\n1\n2\n3\n", 0},
		"topics":            {"-v -C 2", "a/old 0\na/b 1\n", 0},
		"a count":           {"-C 1 -q 2", "0\n", 0},
		"no ends":           {"-N -C 3", "012", 0},
		"fresh":             {"-R -C 3", "1\n2\n3\n", 0},
		"retained":          {"--retained-only", "0\n", 0},
		"others":            {"-T a/b -T a/e+ -T a/old/# -C 2", "", 2},
		"but one":           {"-T a/b -T a/old/# -C 2", "2\n3\n", 0},
		"a format":          {`-F %t:%p@@\t%q%r%m -C 3`, "a/old:0@\t010\na/b:1@\t000\na/c:2@\t109\n", 0},
		"nothing, time out": {"-T # -W 1", "", 27},
		"the answer only":   {"-E", "", 0},
		"in MQTT 5.0":       {"-V 5 -C 1 --retain-as-published --no-local --retain-handling 1", "0\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := (&broker{deliver: some}).start(t)
			if name == "the answer only" {
				b.deliver = nil
			}
			status, out, errOut := b.run("", append([]string{"sub", "-t", "a/#"}, strings.Fields(tt.args)...)...)
			if status != tt.status || out != tt.want {
				t.Errorf("status %d, %q; want %d, %q (%s)", status, out, tt.status, tt.want, errOut)
			}
			if status == 27 && errOut != "Timed out\n" {
				t.Errorf("said %q", errOut)
			}
			if tt.status == 2 {
				return
			}
			first[*packet.Disconnect](b)
			if s := first[*packet.Subscribe](b); name == "in MQTT 5.0" {
				if f := s.Filters[0]; !f.NoLocal || !f.RetainAsPublished || f.RetainHandling != 1 {
					t.Errorf("asked %+v", f)
				}
			}
		})
	}
}

func TestSubAcknowledgesTheLastMessage(t *testing.T) {
	b := (&broker{deliver: []*packet.Publish{message("a", "x", 1, false)}}).start(t)
	b.run("", "sub", "-t", "a", "-q", "1", "-C", "1", "-c", "-i", "me")
	if ack := first[*packet.Puback](b); ack.ID != 9 {
		t.Errorf("got %v", ack)
	}
}

func TestSubRemovesRetainedMessages(t *testing.T) {
	b := (&broker{deliver: []*packet.Publish{
		message("a/1", "x", 0, true), message("a/keep", "x", 0, true), message("a/2", "x", 0, true), message("a/3", "x", 0, false),
	}}).start(t)
	status, out, _ := b.run("", "sub", "-t", "a/#", "--remove-retained", "--retained-only", "-T", "a/keep", "-v")
	if got := fmt.Sprint(b.published()); status != 0 || got != "[a/1= q1 a/2= q1]" || out != "a/1 x\na/2 x\n" {
		t.Errorf("status %d, published %s, printed %q", status, got, out)
	}
}

func TestSubUnsubscribes(t *testing.T) {
	b := (&broker{}).start(t)
	status, out, _ := b.run("", "sub", "-t", "a", "-t", "b", "-U", "c", "-U", "d", "-E", "-c", "-i", "me", "-d",
		"-D", "unsubscribe", "user-property", "k", "v", "-D", "subscribe", "subscription-identifier", "5")
	want := `Client me sending CONNECT
Client me received CONNACK (0)
Client me sending SUBSCRIBE (Mid: 1, Topic: a, QoS: 0, Options: 0x00)
Client me sending SUBSCRIBE (Mid: 1, Topic: b, QoS: 0, Options: 0x00)
Client me sending UNSUBSCRIBE (Mid: 2, Topic: c)
Client me sending UNSUBSCRIBE (Mid: 3, Topic: d)
Client me received SUBACK
Subscribed (mid: 1): 0, 0
Client me sending DISCONNECT
`
	if status != 0 || out != want {
		t.Errorf("status %d, got\n%swant\n%s", status, out, want)
	}
	if s, u := first[*packet.Subscribe](b), first[*packet.Unsubscribe](b); s.Properties.SubscriptionIDs[0] != 5 || len(u.Properties.User) != 1 {
		t.Errorf("got %v, %v", s, u)
	}
}

func TestSubFails(t *testing.T) {
	for name, tt := range map[string]struct {
		broker *broker
		status int
		want   string
	}{
		"refused": {&broker{code: packet.NotAuthorized}, 5, "Connection error: Connection Refused: not authorised. Check --username and --pw, and what the server allows.\n"},
		"denied":  {&broker{deny: true}, 1, "All subscription requests were denied.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := tt.broker.start(t)
			if status, _, errOut := b.run("", "sub", "-t", "a"); status != tt.status || errOut != tt.want {
				t.Errorf("status %d, %q", status, errOut)
			}
		})
	}
}
