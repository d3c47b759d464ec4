package client_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

func TestASlowHandlerHoldsUpNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		quick := make(chan string, 100)
		c, _, p, _ := connect(t, client.Options{KeepAlive: 10 * time.Second, Handlers: []client.Handler{
			{Filter: "slow/#", Func: func(*client.Client, *client.Message) { <-release }},
			{Filter: "quick/#", Func: func(_ *client.Client, m *client.Message) { quick <- m.Topic }},
		}}, &packet.Connack{})
		defer close(release)
		for i := range 20 {
			p.send(&packet.Publish{Topic: []byte("slow/1"), QoS: 1, ID: uint16(1 + i)})
			p.send(&packet.Publish{Topic: fmt.Append(nil, "quick/", i)})
			if got := <-quick; got != fmt.Sprint("quick/", i) {
				t.Errorf("got %q", got)
			}
		}
		for range 5 { // longer than any keep alive
			expect[*packet.Pingreq](p)
			p.send(&packet.Pingresp{})
		}
		if !c.Connected() {
			t.Error("not connected any more")
		}
		p.quiet()
	})
}

func TestAMessageGoesToEveryHandlerAndIsAcknowledgedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, got := make(chan struct{}), make(chan string, 10)
		_, _, p, _ := connect(t, client.Options{
			OnMessage: func(_ *client.Client, m *client.Message) { got <- "other " + m.Topic },
			Handlers: []client.Handler{
				{Filter: "a/+", Func: func(_ *client.Client, m *client.Message) { got <- "plus " + m.Topic }},
				{Filter: "$share/s/a/#", Func: func(_ *client.Client, m *client.Message) { <-release; got <- "share " + m.Topic }},
			}}, &packet.Connack{})
		p.send(&packet.Publish{Topic: []byte("a/b"), QoS: 1, ID: 7})
		if first := <-got; first != "plus a/b" {
			t.Errorf("got %q", first)
		}
		p.quiet()
		close(release)
		if second := <-got; second != "share a/b" {
			t.Errorf("got %q", second)
		}
		if ack := expect[*packet.Puback](p); ack.ID != 7 {
			t.Errorf("got %v", ack)
		}
		p.send(&packet.Publish{Topic: []byte("b")})
		if rest := <-got; rest != "other b" {
			t.Errorf("got %q", rest)
		}
		p.quiet()
	})
}

func TestOverflow(t *testing.T) {
	for name, tt := range map[string]struct {
		policy client.Overflow
		want   []string // of 0 to 5 with room for 2 behind the one that is handled
		drops  uint64
	}{
		"DropNewest": {client.DropNewest, []string{"0", "1", "2"}, 3},
		"DropOldest": {client.DropOldest, []string{"0", "4", "5"}, 3},
		"Block":      {client.Block, []string{"0", "1", "2", "3", "4", "5"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started, release := make(chan struct{}, 10), make(chan struct{})
				var got []string
				c, _, p, _ := connect(t, client.Options{Handlers: []client.Handler{{Filter: "q", Queue: 2, Overflow: tt.policy,
					Func: func(_ *client.Client, m *client.Message) {
						started <- struct{}{}
						<-release
						got = append(got, string(m.Payload))
					}}}}, &packet.Connack{})
				send := func(i int) { p.send(&packet.Publish{Topic: []byte("q"), Payload: fmt.Append(nil, i)}) }
				send(0)
				<-started
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for i := 1; i < 6; i++ {
						send(i)
					}
				}()
				synctest.Wait()
				if s := c.Stats(); s.Dropped != tt.drops || s.Lanes[1].Dropped != tt.drops || s.Lanes[1].Filter != "q" || s.Lanes[1].Queued != 3 {
					t.Errorf("dropped %d, lane %+v; want %d", s.Dropped, s.Lanes[1], tt.drops)
				}
				close(release)
				<-sent
				synctest.Wait()
				if !slices.Equal(got, tt.want) {
					t.Errorf("handled %q, want %q", got, tt.want)
				}
				if s := c.Stats(); s.Dropped != tt.drops || s.Lanes[1].Handled != uint64(len(tt.want)) || s.Lanes[1].Queued != 0 {
					t.Errorf("at the end dropped %d, lane %+v", s.Dropped, s.Lanes[1])
				}
			})
		})
	}
}

// QoS 1 and QoS 2 messages are bounded by Receive Maximum, not by the queue.
func TestOverflowDropsNoAcknowledgedMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c, _, p, _ := connect(t, client.Options{Handlers: []client.Handler{{Filter: "q", Queue: 1,
			Func: func(*client.Client, *client.Message) { <-release }}}}, &packet.Connack{})
		for id := range uint16(10) {
			p.send(&packet.Publish{Topic: []byte("q"), QoS: 1, ID: id + 1})
		}
		synctest.Wait()
		close(release)
		for id := range uint16(10) {
			if ack := expect[*packet.Puback](p); ack.ID != id+1 {
				t.Errorf("got %v, want %d", ack, id+1)
			}
		}
		if s := c.Stats(); s.Dropped != 0 {
			t.Errorf("dropped %d", s.Dropped)
		}
	})
}

// A handler that publishes at QoS 1 needs its PUBACK read while its own lane is
// full.
func TestABlockingHandlerMayPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 10)
		_, _, p, _ := connect(t, client.Options{Handlers: []client.Handler{{Filter: "q", Queue: 1, Overflow: client.Block,
			Func: func(c *client.Client, m *client.Message) {
				failed <- c.Publish(m.Context(), client.Message{Topic: "answer", QoS: 1})
			}}}}, &packet.Connack{})
		go func() {
			for range 3 {
				p.send(&packet.Publish{Topic: []byte("q"), QoS: 0})
			}
		}()
		m := expect[*packet.Publish](p)
		synctest.Wait()
		p.send(&packet.Puback{ID: m.ID})
		if err := <-failed; err != nil {
			t.Error(err)
		}
		p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID})
		if err := <-failed; err != nil {
			t.Error(err)
		}
	})
}

func TestManualAcksLeaveInTheOrderOfTheMessages(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, qos := range []byte{1, 2} {
					got := make(chan *client.Message, 4)
					_, _, p, _ := connect(t, client.Options{ManualAck: true,
						OnMessage: func(_ *client.Client, m *client.Message) { got <- m }}, &packet.Connack{})
					var ms []*client.Message
					for i := range 4 {
						p.send(&packet.Publish{Topic: []byte("a"), QoS: qos, ID: uint16(10 - i)})
						ms = append(ms, <-got)
					}
					p.quiet()
					acked, left := make([]bool, 4), 0
					for _, i := range order {
						ms[i].Ack()
						ms[i].Ack() // twice is once
						acked[i] = true
						for ; left < 4 && acked[left]; left++ {
							var id uint16
							if qos == 1 {
								id = expect[*packet.Puback](p).ID
							} else {
								id = expect[*packet.Pubrec](p).ID
							}
							if id != uint16(10-left) {
								t.Errorf("QoS %d: acknowledged %d, want %d", qos, id, 10-left)
							}
						}
						p.quiet()
					}
				}
			})
		})
	}
}

func TestAnAckOfAnEarlierConnectionIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan *client.Message, 4)
		_, s, p, _ := connect(t, client.Options{ManualAck: true, SessionExpiry: time.Hour,
			OnMessage: func(_ *client.Client, m *client.Message) { got <- m }}, &packet.Connack{})
		p.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 1})
		old := <-got
		p.nc.Close()
		p, _ = s.accept(&packet.Connack{SessionPresent: true})
		p.send(&packet.Publish{Topic: []byte("b"), QoS: 1, ID: 1})
		again := <-got
		old.Ack()
		p.quiet()
		again.Ack()
		if ack := expect[*packet.Puback](p); ack.ID != 1 {
			t.Errorf("got %v", ack)
		}
		p.quiet()
	})
}
