package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

func TestDrainFinishesBothDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		handled := 0
		c, _, p, _ := connect(t, client.Options{KeepAlive: -1, OnMessage: func(c *client.Client, m *client.Message) {
			<-release
			handled++
			if _, err := c.PublishAsync(m.Context(), client.Message{Topic: "answer", QoS: 1}); err != nil {
				t.Error(err)
			}
		}}, &packet.Connack{})
		p.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 1})
		tok, err := c.PublishAsync(t.Context(), client.Message{Topic: "own", QoS: 2})
		if err != nil {
			t.Fatal(err)
		}
		own := expect[*packet.Publish](p)
		synctest.Wait() // until the handler has its message
		drained := async(func() error { return c.Drain(context.Background()) })
		notYet(t, drained)
		p.send(&packet.Publish{Topic: []byte("late"), QoS: 1, ID: 2}) // neither handled nor acknowledged
		p.quiet()
		p.send(&packet.Pubrec{ID: own.ID})
		p.send(&packet.Pubcomp{ID: expect[*packet.Pubrel](p).ID})
		if err := tok.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		notYet(t, drained)
		close(release)
		var acked, answered bool
		for range 2 {
			switch q := (<-p.in).(type) {
			case *packet.Puback:
				acked = q.ID == 1
			case *packet.Publish:
				answered = string(q.Topic) == "answer"
				notYet(t, drained)
				p.send(&packet.Puback{ID: q.ID})
			}
		}
		expect[*packet.Disconnect](p)
		if err := <-drained; err != nil || !acked || !answered {
			t.Errorf("drained: %v, acknowledged %v, answered %v", err, acked, answered)
		}
		if s := c.Stats(); handled != 1 || s.Discarded != 1 {
			t.Errorf("handled %d, discarded %d", handled, s.Discarded)
		}
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
		if _, err := c.PublishAsync(t.Context(), client.Message{Topic: "a", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		expect[*packet.Publish](p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		expect[*packet.Disconnect](p)
	})
}
