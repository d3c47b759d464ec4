package client_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// publish makes a packet as the server would send it.
func publish(topic string, qos byte, id uint16) *packet.Publish {
	return &packet.Publish{Topic: []byte(topic), QoS: qos, ID: id, Payload: []byte(topic)}
}

func TestAMessageIsAcknowledgedAfterOnMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan bool)
		o := client.Options{OnMessage: func(_ *client.Client, m *client.Message) {
			if <-proceed {
				m.Ack()
				<-proceed
			}
		}}
		_, _, p, _ := connect(t, o, &packet.Connack{})
		p.send(publish("a", 1, 7))
		p.quiet()
		proceed <- false
		if ack := expect[*packet.Puback](p); ack.ID != 7 {
			t.Errorf("got %v", ack)
		}
		p.send(publish("b", 2, 8))
		p.quiet()
		proceed <- true
		if rec := expect[*packet.Pubrec](p); rec.ID != 8 {
			t.Errorf("got %v", rec)
		}
		proceed <- true
		p.send(&packet.Pubrel{ID: 8})
		if comp := expect[*packet.Pubcomp](p); comp.ID != 8 || comp.Code != packet.Success {
			t.Errorf("got %v", comp)
		}
		p.send(&packet.Pubrel{ID: 8})
		if comp := expect[*packet.Pubcomp](p); comp.Code != packet.PacketIdentifierNotFound {
			t.Errorf("got %v", comp)
		}
		p.quiet()
	})
}

func TestARepeatedQoS2MessageIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		o := client.Options{OnMessage: func(_ *client.Client, m *client.Message) { got = append(got, m.Topic) }}
		_, s, p, _ := connect(t, o, &packet.Connack{})
		p.send(publish("a", 2, 1))
		expect[*packet.Pubrec](p)
		p.nc.Close()
		p, _ = s.accept(&packet.Connack{SessionPresent: true})
		again := publish("a", 2, 1)
		again.Dup = true
		p.send(again)
		expect[*packet.Pubrec](p)
		p.send(&packet.Pubrel{ID: 1})
		expect[*packet.Pubcomp](p)
		p.send(publish("b", 2, 1))
		expect[*packet.Pubrec](p)
		if fmt.Sprint(got) != "[a b]" {
			t.Errorf("delivered %v", got)
		}
	})
}

func TestAMessageOfALostConnectionIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan bool)
		o := client.Options{OnMessage: func(*client.Client, *client.Message) { <-proceed }}
		_, s, p, _ := connect(t, o, &packet.Connack{})
		p.send(publish("a", 1, 1))
		p.send(publish("b", 1, 2)) // waits in the queue
		p.send(publish("c", 0, 0))
		synctest.Wait()
		p.nc.Close()
		p, _ = s.accept(&packet.Connack{SessionPresent: true})
		synctest.Wait() // the client has read the CONNACK
		proceed <- true // a
		p.quiet()
		proceed <- true // c: the server sends b again
		p.quiet()
		p.send(publish("b", 1, 2))
		proceed <- true
		if ack := expect[*packet.Puback](p); ack.ID != 2 {
			t.Errorf("got %v", ack)
		}
		p.quiet()
	})
}

func TestOnMessageMayWaitForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 100)
		o := client.Options{QueueSize: 2, Overflow: client.Block, OnMessage: func(c *client.Client, m *client.Message) {
			failed <- c.Publish(context.Background(), client.Message{Topic: "answer", QoS: 1})
		}}
		c, _, p, _ := connect(t, o, &packet.Connack{})
		for range 10 {
			p.send(publish("a", 0, 0))
		}
		for i := range 3 { // one in OnMessage, two in the queue, seven dropped
			p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID})
			if err := <-failed; err != nil {
				t.Errorf("answer %d: %v", i, err)
			}
		}
		p.quiet()
		if d := c.Stats().Dropped; d != 7 {
			t.Errorf("dropped %d, want 7", d)
		}
	})
}

func TestASlowOnMessageHoldsTheServerBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		o := client.Options{QueueSize: 2, Overflow: client.Block, KeepAlive: 10 * time.Second, OnMessage: func(*client.Client, *client.Message) {
			time.Sleep(time.Minute) // simulated: the clock is the bubble's
			n++
		}}
		c, _, p, _ := connect(t, o, &packet.Connack{})
		go func() {
			for q := range p.in {
				if q.Type() == packet.PINGREQ {
					p.send(&packet.Pingresp{})
				}
			}
		}()
		start := time.Now()
		for range 10 {
			p.send(publish("a", 0, 0))
		}
		if d := time.Since(start); d < 5*time.Minute {
			t.Errorf("the server could send everything within %v", d)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n != 10 || c.Stats().Dropped != 0 || c.Err() != nil {
			t.Errorf("%d messages handled, %d dropped, %v", n, c.Stats().Dropped, c.Err())
		}
	})
}

func TestAMessageArrivesWithItsProperties(t *testing.T) {
	want := client.Message{
		Topic: "t", Payload: []byte("p"), QoS: 1,
		Properties: client.Properties{
			PayloadFormat: 1, MessageExpiry: 9 * time.Second, ContentType: "c", ResponseTopic: "r",
			CorrelationData: []byte{}, TopicAlias: 2, User: []client.User{{Key: "k", Value: "v"}, {Key: "k", Value: "w"}},
		},
	}
	synctest.Test(t, func(t *testing.T) {
		arrived := make(chan client.Message, 3)
		ack := &packet.Connack{}
		ack.Properties.TopicAliasMax = 2
		ack.Properties.Mark(packet.PropTopicAliasMax)
		o := client.Options{TopicAliasMax: 2, OnMessage: func(_ *client.Client, m *client.Message) {
			arrived <- client.Message{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Properties: m.Properties}
		}}
		c, _, p, _ := connect(t, o, ack)
		if _, err := c.PublishAsync(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		echo := expect[*packet.Publish](p)
		p.send(echo)
		if got := <-arrived; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		expect[*packet.Puback](p)
		echo.Topic = nil
		p.send(echo)
		if got := <-arrived; got.Topic != "t" {
			t.Errorf("topic %q by alias", got.Topic)
		}
	})
}

func TestAServerThatBreaksTheRulesIsToldSo(t *testing.T) {
	alias := publish("t", 0, 0)
	alias.Properties.TopicAlias = 3
	alias.Properties.Mark(packet.PropTopicAlias)
	for name, tt := range map[string]struct {
		send []packet.Packet
		want packet.ReasonCode
	}{
		"a third message":  {[]packet.Packet{publish("a", 1, 1), publish("b", 2, 2), publish("c", 1, 3)}, packet.ReceiveMaximumExceeded},
		"an unknown alias": {[]packet.Packet{alias}, packet.TopicAliasInvalid},
		"a client's word":  {[]packet.Packet{&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("a")}}}}, packet.ProtocolError},
		"AUTH for nothing": {[]packet.Packet{&packet.Auth{}}, packet.ProtocolError},
		"a large packet":   {[]packet.Packet{publish(fmt.Sprintf("%0100d", 0), 0, 0)}, packet.PacketTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				forever := make(chan bool)
				defer close(forever)
				o := client.Options{ReceiveMax: 2, MaxPacketSize: 100, Reconnect: client.ReconnectOptions{Off: true},
					OnMessage: func(*client.Client, *client.Message) { <-forever }}
				_, _, p, _ := connect(t, o, &packet.Connack{})
				for _, q := range tt.send {
					p.send(q)
				}
				if d := expect[*packet.Disconnect](p); d.Code != tt.want {
					t.Errorf("got %v, want %v", d, tt.want)
				}
			})
		})
	}
}

func TestReceiveNReturnsWhatCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		var got []*client.Message
		done := async(func() (err error) {
			got, err = client.ReceiveN(t.Context(), client.Options{Dial: s.dial}, 2, client.Subscription{Filter: "#", QoS: 1})
			return err
		})
		p, _ := s.accept(&packet.Connack{})
		p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{1}})
		go func() {
			for i := range uint16(4) { // the client may stop reading after two
				if _, err := p.nc.Write(publish(fmt.Sprint(i), 1, i+1).Append(nil, packet.V5)); err != nil {
					return
				}
			}
		}()
		expect[*packet.Puback](p)
		expect[*packet.Puback](p)
		expect[*packet.Disconnect](p)
		if err := <-done; err != nil || len(got) != 2 || got[0].Topic != "0" || got[1].Topic != "1" {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestPublishOncePublishesAndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V311)
		done := async(func() error {
			return client.PublishOnce(t.Context(), client.Options{Version: packet.V311, Dial: s.dial},
				client.Message{Topic: "a"}, client.Message{Topic: "b", QoS: 1})
		})
		p, c := s.accept(&packet.Connack{})
		if !c.CleanStart {
			t.Error("a nameless 3.1.1 client must ask for a clean session")
		}
		expect[*packet.Publish](p)
		p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID})
		expect[*packet.Disconnect](p)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
