package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
	"github.com/wirebird/wirebird/packet"
)

// dialFunc is what Options.Dial is.
type dialFunc = func(context.Context) (net.Conn, error)

// conversation is a client that publishes at every QoS what it has subscribed to.
type conversation struct {
	c        *client.Client
	mu       sync.Mutex
	arrived  map[byte][]string // by QoS
	repeated map[byte]int
	all      chan struct{} // closed when the last message is there
}

// perQoS is how many messages go out at QoS 1, and at QoS 2.
const perQoS = 3

func newConversation(t *testing.T, v packet.Version, dial dialFunc) *conversation {
	t.Helper()
	s := &conversation{arrived: map[byte][]string{}, repeated: map[byte]int{}, all: make(chan struct{})}
	s.c = start(t, client.Options{Version: v, ClientID: "c", SessionExpiry: -1, Dial: dial, ConnectTimeout: time.Second,
		Handlers: []client.Handler{{Filter: "t/#", Func: s.message}}})
	return s
}

func (s *conversation) message(_ *client.Client, m *client.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.arrived[m.QoS], string(m.Payload)) {
		s.repeated[m.QoS]++
		return
	}
	s.arrived[m.QoS] = append(s.arrived[m.QoS], string(m.Payload))
	if len(s.arrived[1]) == perQoS && len(s.arrived[2]) == perQoS {
		close(s.all)
	}
}

// run subscribes, publishes all and waits until all have come back.
func (s *conversation) run(ctx context.Context) error {
	if _, err := s.c.Subscribe(ctx, client.Subscription{Filter: "t/#", QoS: 2}); err != nil {
		return err
	}
	var tokens []*client.Token
	for i := range perQoS {
		for qos := byte(1); qos < 3; qos++ {
			tok, err := s.c.PublishAsync(ctx, client.Message{Topic: "t/x", Payload: fmt.Append(nil, i), QoS: qos})
			if err != nil {
				return err
			}
			tokens = append(tokens, tok)
		}
	}
	for _, tok := range tokens {
		if err := tok.Wait(ctx); err != nil {
			return err
		}
	}
	select {
	case <-s.all:
		return nil
	case <-s.c.Done():
		return client.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("not all came back: %w", ctx.Err())
	}
}

// traffic is how many bytes a conversation without faults sends and receives.
func traffic(t *testing.T, v packet.Version) (sent, received int64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newConversation(t, v, clienttest.NewBroker(t).Dial)
		defer s.c.Close()
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stats := s.c.Stats()
		sent, received = int64(stats.BytesSent), int64(stats.BytesReceived)
	})
	return sent, received
}

// everyByte calls fn with the faults that at makes of every byte of both directions.
func everyByte(t *testing.T, v packet.Version, at func(sent, received int64) clienttest.Faults, fn func(*testing.T, clienttest.Faults)) {
	t.Helper()
	sent, received := traffic(t, v)
	for n := int64(1); n <= sent; n++ {
		fn(t, at(n, 0))
	}
	for n := int64(1); n <= received; n++ {
		fn(t, at(0, n))
	}
}

// TestACutAtEveryByteLosesNothing ends the first connections at every byte of a whole
// conversation. Nothing of QoS 1 may be lost, and nothing of QoS 2 lost or repeated.
func TestACutAtEveryByteLosesNothing(t *testing.T) {
	cut := func(sent, received int64) clienttest.Faults {
		return clienttest.Faults{CutSent: sent, CutReceived: received}
	}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for _, times := range []int{1, 3} {
			t.Run(fmt.Sprintf("%v, %d in a row", v, times), func(t *testing.T) {
				everyByte(t, v, cut, func(t *testing.T, f clienttest.Faults) {
					synctest.Test(t, func(t *testing.T) {
						b := clienttest.NewBroker(t)
						s := newConversation(t, v, b.Dialer(func(n int) clienttest.Faults {
							if n < times {
								return f
							}
							return clienttest.Faults{}
						}))
						defer s.c.Close()
						ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
						defer cancel()
						if err := s.run(ctx); err != nil {
							t.Errorf("%+v: %v", f, err)
						}
						s.check(t, f)
					})
				})
			})
		}
	}
}

func (s *conversation) check(t *testing.T, f clienttest.Faults) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for qos := byte(1); qos < 3; qos++ {
		if got := fmt.Sprint(s.arrived[qos]); got != "[0 1 2]" {
			t.Errorf("%+v: QoS %d: %s came", f, qos, got)
		}
	}
	if s.repeated[2] > 0 {
		t.Errorf("%+v: %d messages of QoS 2 came twice", f, s.repeated[2])
	}
}

// TestASpoiledByteEndsNoProgram turns every byte of a conversation. What the server makes
// of it nobody can say, but every call returns, and Close leaves nothing.
func TestASpoiledByteEndsNoProgram(t *testing.T) {
	spoil := func(sent, received int64) clienttest.Faults {
		return clienttest.Faults{CorruptSent: sent, CorruptReceived: received}
	}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			everyByte(t, v, spoil, func(t *testing.T, f clienttest.Faults) {
				synctest.Test(t, func(t *testing.T) {
					b := clienttest.NewBroker(t)
					s := newConversation(t, v, b.Dialer(func(n int) clienttest.Faults {
						if n == 0 {
							return f
						}
						return clienttest.Faults{}
					}))
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
					defer cancel()
					_ = s.run(ctx) // may fail
					begun := time.Now()
					if err := s.c.Close(); err != nil || time.Since(begun) > 10*time.Second {
						t.Errorf("%+v: Close: %v after %v", f, err, time.Since(begun))
					}
				})
			})
		})
	}
}

// tap tells when a byte passes.
type tap struct {
	net.Conn
	sent, received int64 // the byte to tell of, counted from 1; 0 for none
	out, in        int64
	passes         func()
}

func (p *tap) Write(b []byte) (int, error) {
	from := p.out
	p.out += int64(len(b))
	if from < p.sent && p.sent <= p.out {
		p.passes()
	}
	return p.Conn.Write(b)
}

func (p *tap) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	from := p.in
	p.in += int64(n)
	if from < p.received && p.received <= p.in {
		p.passes()
	}
	return n, err
}

// TestCloseAtEveryByteLeavesNothing closes the client when each byte of a conversation
// passes. What is still running then, synctest finds.
func TestCloseAtEveryByteLeavesNothing(t *testing.T) {
	whole := func(sent, received int64) clienttest.Faults {
		return clienttest.Faults{CutSent: sent, CutReceived: received} // only the numbers are used
	}
	everyByte(t, packet.V5, whole, func(t *testing.T, f clienttest.Faults) {
		synctest.Test(t, func(t *testing.T) {
			b := clienttest.NewBroker(t)
			passed := make(chan struct{})
			s := newConversation(t, packet.V5, func(ctx context.Context) (net.Conn, error) {
				nc, err := b.Dial(ctx)
				if err != nil {
					return nil, err
				}
				nc = clienttest.Faults{Pieces: 1}.Wrap(nc)
				return &tap{Conn: nc, sent: f.CutSent, received: f.CutReceived, passes: sync.OnceFunc(func() { close(passed) })}, nil
			})
			ended := async(func() error { return s.run(t.Context()) })
			select {
			case <-passed:
			case <-time.After(time.Hour):
				t.Errorf("%+v: the byte did not come", f)
			}
			if err := s.c.Close(); err != nil {
				t.Errorf("%+v: Close: %v", f, err)
			}
			if err := <-ended; err != nil && !errors.Is(err, client.ErrClosed) && !errors.Is(err, net.ErrClosed) {
				t.Errorf("%+v: the calls returned %v", f, err)
			}
		})
	})
}
