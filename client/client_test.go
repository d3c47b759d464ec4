package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

func TestPublishReturnsWhenTheServerHasTheMessage(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, p, _ := connect(t, client.Options{Version: v}, &packet.Connack{})
				for qos := range byte(3) {
					done := async(func() error {
						return c.Publish(t.Context(), client.Message{Topic: "a/b", Payload: []byte("x"), QoS: qos, Retain: true})
					})
					got := expect[*packet.Publish](p)
					if string(got.Topic) != "a/b" || string(got.Payload) != "x" || got.QoS != qos || !got.Retain || got.Dup {
						t.Errorf("got %v", got)
					}
					switch qos {
					case 1:
						notYet(t, done)
						p.send(&packet.Puback{ID: got.ID})
					case 2:
						p.send(&packet.Pubrec{ID: got.ID})
						if rel := expect[*packet.Pubrel](p); rel.ID != got.ID {
							t.Errorf("PUBREL of %d, want %d", rel.ID, got.ID)
						}
						notYet(t, done)
						p.send(&packet.Pubcomp{ID: got.ID})
					}
					if err := <-done; err != nil {
						t.Errorf("QoS %d: %v", qos, err)
					}
				}
			})
		})
	}
}

func notYet(t *testing.T, done <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Errorf("returned %v too early", err)
	default:
	}
}

func TestConnectSaysWhatOptionsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, _, got := connect(t, client.Options{
			ClientID: "c", CleanStart: true, KeepAlive: 1500 * time.Millisecond, SessionExpiry: -1,
			Username: "u", Password: []byte{}, ReceiveMax: 7, MaxPacketSize: 1000, TopicAliasMax: 3,
			RequestResponse: true, NoProblemInfo: true, UserProperties: []client.User{{Key: "k", Value: "v"}},
			Will: &client.Message{Topic: "w", Payload: []byte("bye"), QoS: 1, Retain: true,
				Properties: client.Properties{WillDelay: 5 * time.Second, ContentType: "text/plain"}},
		}, &packet.Connack{})
		want := `CONNECT`
		if got.Type().String() != want || string(got.ClientID) != "c" || !got.CleanStart || got.KeepAlive != 2 ||
			got.Properties.SessionExpiry != 0xFFFFFFFF || string(got.Username) != "u" || !got.HasPassword ||
			got.Properties.ReceiveMax != 7 || got.Properties.MaxPacketSize != 1000 || got.Properties.TopicAliasMax != 3 ||
			got.Properties.RequestResponse != 1 || !got.Properties.Has(packet.PropRequestProblem) || got.Properties.RequestProblem != 0 ||
			len(got.Properties.User) != 1 {
			t.Errorf("got %v", got)
		}
		w := got.Will
		if w == nil || string(w.Topic) != "w" || string(w.Payload) != "bye" || w.QoS != 1 || !w.Retain ||
			w.Properties.WillDelay != 5 || string(w.Properties.ContentType) != "text/plain" {
			t.Errorf("will %+v", w)
		}
	})
}

func TestARefusalCarriesTheCode(t *testing.T) {
	for name, tt := range map[string]struct {
		v    packet.Version
		code packet.ReasonCode
	}{
		"3.1.1": {packet.V311, packet.NotAuthorized},
		"5.0":   {packet.V5, packet.ServerBusy},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, tt.v)
				done := async(func() error {
					_, err := client.Connect(t.Context(), client.Options{Version: tt.v, Dial: s.dial})
					return err
				})
				s.accept(&packet.Connack{Code: tt.code})
				if err := <-done; packet.ReasonOf(err) != tt.code {
					t.Errorf("got %v, want %v", err, tt.code)
				}
			})
		})
	}
}

func TestConnectGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		start := time.Now()
		_, err := client.Connect(t.Context(), client.Options{Dial: s.dial, ConnectTimeout: 3 * time.Second})
		if d := time.Since(start); d != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", d, err)
		}
	})
}

func TestUnacknowledgedMessagesAreSentAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, p, _ := connect(t, client.Options{SessionExpiry: time.Hour, CleanStart: true}, &packet.Connack{})
		var done []<-chan error
		for i, qos := range []byte{1, 2, 2, 1} {
			tok, err := c.PublishAsync(t.Context(), client.Message{Topic: fmt.Sprint(i), QoS: qos})
			if err != nil {
				t.Fatal(err)
			}
			done = append(done, async(func() error { return tok.Wait(t.Context()) }))
			expect[*packet.Publish](p)
		}
		p.send(&packet.Pubrec{ID: 2})
		expect[*packet.Pubrel](p)
		p.nc.Close()

		p, connect := s.accept(&packet.Connack{SessionPresent: true})
		if connect.CleanStart {
			t.Error("reconnected with Clean Start")
		}
		for _, want := range []string{"0", "", "2", "3"} {
			if want == "" {
				if rel := expect[*packet.Pubrel](p); rel.ID != 2 {
					t.Errorf("got %v", rel)
				}
				continue
			}
			if m := expect[*packet.Publish](p); !m.Dup || string(m.Topic) != want {
				t.Errorf("got %v, want topic %s with DUP", m, want)
			}
		}
		p.quiet()
		p.send(&packet.Puback{ID: 1})
		p.send(&packet.Pubcomp{ID: 2})
		p.send(&packet.Pubrec{ID: 3, Code: packet.QuotaExceeded})
		p.send(&packet.Puback{ID: 4})
		for i, d := range done {
			want := packet.Success
			if i == 2 {
				want = packet.QuotaExceeded
			}
			if err := <-d; packet.ReasonOf(err) != want {
				t.Errorf("message %d: %v, want %v", i, err, want)
			}
		}
	})
}

func TestALostSessionIsBuiltAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, p, _ := connect(t, client.Options{}, &packet.Connack{})
		done := async(func() error {
			_, err := c.Subscribe(t.Context(), client.Subscription{Filter: "a", QoS: 1}, client.Subscription{Filter: "b", ID: 4, NoLocal: true})
			return err
		})
		p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{1}})
		p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{0}})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		first, _ := c.PublishAsync(t.Context(), client.Message{Topic: "m", QoS: 2})
		second, _ := c.PublishAsync(t.Context(), client.Message{Topic: "n", QoS: 1})
		p.send(&packet.Pubrec{ID: expect[*packet.Publish](p).ID})
		expect[*packet.Publish](p)
		expect[*packet.Pubrel](p)
		p.nc.Close()

		p, _ = s.accept(&packet.Connack{})
		if err := first.Wait(t.Context()); err != nil { // the old session had taken it over
			t.Error(err)
		}
		one, two := expect[*packet.Subscribe](p), expect[*packet.Subscribe](p)
		if string(one.Filters[0].Filter) != "a" || one.Filters[0].QoS != 1 ||
			string(two.Filters[0].Filter) != "b" || !two.Filters[0].NoLocal || two.Properties.SubscriptionIDs[0] != 4 {
			t.Errorf("subscribed again with %v and %v", one, two)
		}
		m := expect[*packet.Publish](p)
		if m.Dup || string(m.Topic) != "n" {
			t.Errorf("got %v, want n without DUP", m)
		}
		p.send(&packet.Puback{ID: m.ID})
		if err := second.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		p.quiet()
	})
}

func TestTheServersLimitsAreObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ack := &packet.Connack{}
		pr := &ack.Properties
		pr.ReceiveMax, pr.MaxPacketSize, pr.MaxQoS = 2, 30, 1
		for _, id := range []packet.PropertyID{packet.PropReceiveMax, packet.PropMaxPacketSize, packet.PropMaxQoS, packet.PropRetainAvailable} {
			pr.Mark(id)
		}
		c, _, p, _ := connect(t, client.Options{}, ack)
		for name, tt := range map[string]struct {
			m    client.Message
			want packet.ReasonCode
		}{
			"large":        {client.Message{Topic: "t", Payload: make([]byte, 30)}, packet.PacketTooLarge},
			"large, QoS 1": {client.Message{Topic: "t", Payload: make([]byte, 30), QoS: 1}, packet.PacketTooLarge},
			"QoS 2":        {client.Message{Topic: "t", QoS: 2}, packet.QoSNotSupported},
			"retained":     {client.Message{Topic: "t", Retain: true}, packet.RetainNotSupported},
			"alias":        {client.Message{Topic: "t", Properties: client.Properties{TopicAlias: 1}}, packet.TopicAliasInvalid},
		} {
			if err := c.Publish(t.Context(), tt.m); packet.ReasonOf(err) != tt.want {
				t.Errorf("%s: got %v, want %v", name, err, tt.want)
			}
		}
		for i := range 4 {
			if _, err := c.PublishAsync(t.Context(), client.Message{Topic: fmt.Sprint(i), QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		one, two := expect[*packet.Publish](p), expect[*packet.Publish](p)
		p.quiet()
		p.send(&packet.Puback{ID: two.ID})
		three := expect[*packet.Publish](p)
		p.quiet()
		p.send(&packet.Puback{ID: one.ID})
		if four := expect[*packet.Publish](p); string(three.Topic) != "2" || string(four.Topic) != "3" {
			t.Errorf("order: %v, %v", three, four)
		}
	})
}

func TestAnAssignedClientIDIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		ack := &packet.Connack{}
		ack.Properties.AssignedClientID = []byte("given")
		ack.Properties.Mark(packet.PropAssignedClientID)
		var c *client.Client
		done := async(func() (err error) {
			c, err = client.Connect(t.Context(), client.Options{Dial: s.dial})
			return err
		})
		p, first := s.accept(ack)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p.nc.Close()
		_, second := s.accept(&packet.Connack{})
		if len(first.ClientID) != 0 || string(second.ClientID) != "given" || c.ClientID() != "given" {
			t.Errorf("first %q, then %q, ClientID %q", first.ClientID, second.ClientID, c.ClientID())
		}
	})
}

func TestSilenceIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ack := &packet.Connack{}
		ack.Properties.ServerKeepAlive = 20
		ack.Properties.Mark(packet.PropServerKeepAlive)
		var lost error
		o := client.Options{KeepAlive: time.Hour, OnDisconnect: func(_ *client.Client, err error) { lost = err }}
		_, s, p, _ := connect(t, o, ack)
		start := time.Now()
		expect[*packet.Pingreq](p)
		if d := time.Since(start); d != 20*time.Second {
			t.Errorf("PINGREQ after %v", d)
		}
		p.send(&packet.Pingresp{})
		expect[*packet.Pingreq](p)
		if d := time.Since(start); d != 40*time.Second {
			t.Errorf("second PINGREQ after %v", d)
		}
		if _, open := <-p.in; open || time.Since(start) != time.Minute {
			t.Errorf("open %v after %v", open, time.Since(start))
		}
		s.accept(&packet.Connack{})
		synctest.Wait()
		if packet.ReasonOf(lost) != packet.KeepAliveTimeout {
			t.Errorf("lost with %v", lost)
		}
	})
}

func TestReconnectingBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := client.Options{Reconnect: client.ReconnectOptions{Min: time.Second, Max: 8 * time.Second}}
		_, s, p, _ := connect(t, o, &packet.Connack{})
		p.nc.Close()
		last := time.Now()
		for _, limit := range []time.Duration{2, 4, 8, 8, 8} {
			s.accept(&packet.Connack{Code: packet.ServerUnavailable})
			if d := time.Since(last); d < time.Second || d > limit*time.Second {
				t.Errorf("attempt after %v, want at most %v s", d, int(limit))
			}
			last = time.Now()
		}
		s.accept(&packet.Connack{})
	})
}

func TestSomeRefusalsAreFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
		tok, _ := c.PublishAsync(t.Context(), client.Message{Topic: "t", QoS: 1})
		expect[*packet.Publish](p)
		p.send(&packet.Disconnect{Code: packet.SessionTakenOver})
		p.nc.Close()
		<-c.Done()
		if packet.ReasonOf(c.Err()) != packet.SessionTakenOver {
			t.Errorf("ended with %v", c.Err())
		}
		if err := tok.Err(); !errors.Is(err, client.ErrClosed) || packet.ReasonOf(err) != packet.SessionTakenOver {
			t.Errorf("message ended with %v", err)
		}
		if err := c.Publish(t.Context(), client.Message{Topic: "t", QoS: 1}); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Publish: %v", err)
		}
		if _, err := c.Subscribe(t.Context(), client.Subscription{Filter: "t"}); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Subscribe: %v", err)
		}
	})
}

func TestPublishWithoutAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, p, _ := connect(t, client.Options{}, &packet.Connack{})
		p.nc.Close()
		synctest.Wait()
		if err := c.Publish(t.Context(), client.Message{Topic: "t"}); !errors.Is(err, client.ErrNotConnected) {
			t.Errorf("QoS 0: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := c.Publish(ctx, client.Message{Topic: "withdrawn", QoS: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("QoS 1 with a deadline: %v", err)
		}
		done := async(func() error { return c.Publish(t.Context(), client.Message{Topic: "kept", QoS: 1}) })
		p, _ = s.accept(&packet.Connack{})
		m := expect[*packet.Publish](p)
		if string(m.Topic) != "kept" || m.Dup {
			t.Errorf("got %v", m)
		}
		p.send(&packet.Puback{ID: m.ID})
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestTooManyMessagesHaveToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{MaxQueued: 2}, &packet.Connack{})
		for range 2 {
			if _, err := c.PublishAsync(t.Context(), client.Message{Topic: "t", QoS: 1}); err != nil {
				t.Fatal(err)
			}
			expect[*packet.Publish](p)
		}
		done := async(func() error {
			_, err := c.PublishAsync(t.Context(), client.Message{Topic: "third", QoS: 1})
			return err
		})
		notYet(t, done)
		p.quiet()
		p.send(&packet.Puback{ID: 1})
		if err := <-done; err != nil {
			t.Error(err)
		}
		if m := expect[*packet.Publish](p); string(m.Topic) != "third" {
			t.Errorf("got %v", m)
		}
	})
}

func TestSubscribeReturnsTheAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
		var codes []packet.ReasonCode
		done := async(func() (err error) {
			codes, err = c.Subscribe(t.Context(), client.Subscription{Filter: "a", QoS: 2}, client.Subscription{Filter: "b/#"})
			return err
		})
		s := expect[*packet.Subscribe](p)
		p.send(&packet.Suback{ID: s.ID, Codes: []packet.ReasonCode{packet.GrantedQoS1, packet.NotAuthorized}})
		if err := <-done; packet.ReasonOf(err) != packet.NotAuthorized || !slices.Equal(codes, []packet.ReasonCode{1, packet.NotAuthorized}) {
			t.Errorf("got %v, %v", codes, err)
		}
		done = async(func() (err error) {
			codes, err = c.UnsubscribeWith(t.Context(), []client.User{{Key: "k"}}, "a", "c")
			return err
		})
		u := expect[*packet.Unsubscribe](p)
		if len(u.Properties.User) != 1 {
			t.Errorf("got %v", u)
		}
		p.send(&packet.Unsuback{ID: u.ID, Codes: []packet.ReasonCode{0, packet.NoSubscriptionExisted}})
		if err := <-done; err != nil || !slices.Equal(codes, []packet.ReasonCode{0, packet.NoSubscriptionExisted}) {
			t.Errorf("got %v, %v", codes, err)
		}
		for _, filter := range []string{"", "a#", "a/#/b", "\x00", "$share//a"} {
			if _, err := c.Subscribe(t.Context(), client.Subscription{Filter: filter}); err == nil {
				t.Errorf("filter %q was accepted", filter)
			}
		}
		p.quiet()
	})
}

func TestSubscribeSurvivesALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, p, _ := connect(t, client.Options{}, &packet.Connack{})
		done := async(func() error {
			_, err := c.Subscribe(t.Context(), client.Subscription{Filter: "a"})
			return err
		})
		expect[*packet.Subscribe](p)
		p.nc.Close()
		p, _ = s.accept(&packet.Connack{})
		p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{0}})
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseSaysFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := errors.New("not called")
		c, _, p, _ := connect(t, client.Options{OnDisconnect: func(_ *client.Client, err error) { ended = err }}, &packet.Connack{})
		tok, _ := c.PublishAsync(t.Context(), client.Message{Topic: "t", QoS: 1})
		expect[*packet.Publish](p)
		if err := c.Disconnect(t.Context(), packet.DisconnectWithWill); err != nil {
			t.Error(err)
		}
		if d := expect[*packet.Disconnect](p); d.Code != packet.DisconnectWithWill {
			t.Errorf("got %v", d)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if ended != nil || c.Err() != nil || !errors.Is(tok.Err(), client.ErrClosed) {
			t.Errorf("ended with %v, Err %v, message %v", ended, c.Err(), tok.Err())
		}
	})
}

// letters answers with the reverse, until the server is content.
type letters struct{ steps int }

func (*letters) Method() string { return "REVERSE" }
func (*letters) Start() []byte  { return []byte("hello") }
func (l *letters) Step(in []byte) ([]byte, error) {
	l.steps++
	out := slices.Clone(in)
	slices.Reverse(out)
	return out, nil
}

func TestEnhancedAuthentication(t *testing.T) {
	challenge := func(code packet.ReasonCode) *packet.Auth {
		a := &packet.Auth{Code: code}
		a.Properties.AuthMethod, a.Properties.AuthData = []byte("REVERSE"), []byte("abc")
		a.Properties.Mark(packet.PropAuthMethod)
		a.Properties.Mark(packet.PropAuthData)
		return a
	}
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		l := &letters{}
		var c *client.Client
		done := async(func() (err error) {
			c, err = client.Connect(t.Context(), client.Options{Dial: s.dial, Auth: l})
			return err
		})
		p := <-s.conns
		if got := expect[*packet.Connect](p); string(got.Properties.AuthMethod) != "REVERSE" || string(got.Properties.AuthData) != "hello" {
			t.Errorf("got %v", got)
		}
		p.send(challenge(packet.ContinueAuthentication))
		if got := expect[*packet.Auth](p); got.Code != packet.ContinueAuthentication || string(got.Properties.AuthData) != "cba" {
			t.Errorf("got %v", got)
		}
		ack := &packet.Connack{}
		ack.Properties.AuthMethod = []byte("REVERSE")
		ack.Properties.Mark(packet.PropAuthMethod)
		p.send(ack)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		done = async(func() error { return c.Reauthenticate(t.Context()) })
		if got := expect[*packet.Auth](p); got.Code != packet.ReAuthenticate {
			t.Errorf("got %v", got)
		}
		p.send(challenge(packet.ContinueAuthentication))
		expect[*packet.Auth](p)
		p.send(challenge(packet.Success))
		if err := <-done; err != nil || l.steps != 3 {
			t.Errorf("%v after %d steps", err, l.steps)
		}
	})
}
