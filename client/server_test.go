package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// refer is a Server Reference.
func refer(pr *packet.Properties, to string) {
	pr.ServerReference = []byte(to)
	pr.Mark(packet.PropServerReference)
}

// TestADisconnectMayPointElsewhere covers §4.11 for connections that were accepted.
func TestADisconnectMayPointElsewhere(t *testing.T) {
	for _, tt := range []struct {
		code  packet.ReasonCode
		off   bool
		then  string // where the client goes next
		after string // and when that connection is lost
	}{
		{packet.UseAnotherServer, false, "b:1884", "a:1883"},
		{packet.ServerMoved, false, "b:1884", "b:1884"},
		{packet.UseAnotherServer, true, "a:1883", "a:1883"},
		{packet.ServerShuttingDown, false, "a:1883", "a:1883"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, packet.V5)
			dial, dialed := reach(s, "a:1883", "b:1884")
			c := start(t, client.Options{Version: packet.V5, ClientID: "test", URL: "mqtt://a", DialContext: dial, NoServerReference: tt.off})
			defer c.Close()
			p, _ := s.accept(&packet.Connack{})
			bye := &packet.Disconnect{Code: tt.code}
			refer(&bye.Properties, "b:1884")
			p.send(bye)
			p, _ = s.accept(&packet.Connack{})
			synctest.Wait()
			p.nc.Close()
			s.accept(&packet.Connack{})
			synctest.Wait()
			if want := []string{"a:1883", tt.then, tt.after}; !slices.Equal(*dialed, want) {
				t.Errorf("%v: dialed %v, want %v", tt.code, *dialed, want)
			}
		})
	}
}

// A reference must not take the credentials from TLS to plain text.
func TestAReferenceFromTLSToPlainTextIsRefused(t *testing.T) {
	cert := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		var dialed []string
		dial := func(_ context.Context, _, address string) (net.Conn, error) {
			dialed = append(dialed, address)
			near, far := net.Pipe()
			if address == "plain:1883" {
				s.serve(far)
			} else {
				s.serve(cert.server(far))
			}
			return near, nil
		}
		done := async(func() error {
			c, err := client.Connect(t.Context(), client.Options{Version: packet.V5, ClientID: "test", URL: "mqtts://localhost", TLS: cert.client(),
				DialContext: dial, Username: "alice", Password: []byte("secret")})
			if err == nil {
				c.Close()
			}
			return err
		})
		refuse := &packet.Connack{Code: packet.UseAnotherServer}
		refer(&refuse.Properties, "mqtt://plain:1883")
		s.accept(refuse)
		if err := <-done; packet.ReasonOf(err) != packet.UseAnotherServer {
			t.Errorf("got %v, want the refusal", err)
		}
		if !slices.Equal(dialed, []string{"localhost:8883"}) {
			t.Errorf("dialed %v", dialed)
		}
	})
}

func TestSubscriptionsAreMadeAgainExactlyWhenTheSessionIsLost(t *testing.T) {
	for name, present := range map[string]bool{"kept": true, "lost": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s, p, _ := connect(t, client.Options{SessionExpiry: time.Hour}, &packet.Connack{})
				grant := func(filter string, code packet.ReasonCode) {
					done := async(func() error {
						_, err := c.Subscribe(t.Context(), client.Subscription{Filter: filter, QoS: 1})
						return err
					})
					p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{code}})
					if err := <-done; (err != nil) != (code >= packet.UnspecifiedError) {
						t.Error(err)
					}
				}
				grant("kept", packet.GrantedQoS1)
				grant("refused", packet.NotAuthorized)
				grant("given up", packet.GrantedQoS1)
				done := async(func() error { _, err := c.Unsubscribe(t.Context(), "given up"); return err })
				p.send(&packet.Unsuback{ID: expect[*packet.Unsubscribe](p).ID, Codes: []packet.ReasonCode{packet.Success}})
				if err := <-done; err != nil {
					t.Error(err)
				}
				for range 3 {
					p.nc.Close()
					p, _ = s.accept(&packet.Connack{SessionPresent: present})
					if !present {
						again := expect[*packet.Subscribe](p)
						if len(again.Filters) != 1 || string(again.Filters[0].Filter) != "kept" {
							t.Errorf("asked again for %v", again)
						}
						p.send(&packet.Suback{ID: again.ID, Codes: []packet.ReasonCode{packet.GrantedQoS1}})
					}
					p.quiet()
				}
				want := uint64(3)
				if present {
					want = 0
				}
				if n := c.Stats().Resubscribed; n != want {
					t.Errorf("Resubscribed is %d, want %d", n, want)
				}
			})
		})
	}
}

func TestTheServersKeepAliveCounts(t *testing.T) {
	for _, seconds := range []uint16{0, 5, 100} {
		synctest.Test(t, func(t *testing.T) {
			ack := &packet.Connack{}
			ack.Properties.ServerKeepAlive = seconds
			ack.Properties.Mark(packet.PropServerKeepAlive)
			_, _, p, sent := connect(t, client.Options{KeepAlive: 30 * time.Second}, ack)
			if sent.KeepAlive != 30 {
				t.Errorf("asked for %d s", sent.KeepAlive)
			}
			begun := time.Now()
			if seconds == 0 {
				select {
				case q := <-p.in:
					t.Errorf("got %v without a keep alive", q)
				case <-time.After(50 * time.Minute):
				}
				return
			}
			expect[*packet.Pingreq](p)
			if d := time.Since(begun); d > time.Duration(seconds)*time.Second || d < time.Duration(seconds)*time.Second*9/10 {
				t.Errorf("PINGREQ after %v, the server said %d s", d, seconds)
			}
			p.send(&packet.Pingresp{})
		})
	}
}

// aliased publishes to topics and returns what went out: topic/alias.
func aliased(t *testing.T, c *client.Client, p *peer, topics ...string) (got []string) {
	t.Helper()
	for _, name := range topics {
		if _, err := c.PublishAsync(t.Context(), client.Message{Topic: name}); err != nil {
			t.Fatal(err)
		}
		m := expect[*packet.Publish](p)
		got = append(got, fmt.Sprintf("%s/%d", m.Topic, m.Properties.TopicAlias))
	}
	return got
}

func TestAliasesGoToTheTopicsUsedLast(t *testing.T) {
	const a, b, c, d = "a-long-topic", "b-long-topic", "c-long-topic", "d-long-topic"
	for name, tt := range map[string]struct {
		max  uint16
		off  bool
		in   []string
		want []string
	}{
		"none allowed":   {0, false, []string{a, a, a}, []string{a + "/0", a + "/0", a + "/0"}},
		"not wanted":     {2, true, []string{a, a, a}, []string{a + "/0", a + "/0", a + "/0"}},
		"used again":     {2, false, []string{a, a, a, a}, []string{a + "/0", a + "/1", "/1", "/1"}},
		"two topics":     {2, false, []string{a, b, a, b, a, b}, []string{a + "/0", b + "/0", a + "/1", b + "/2", "/1", "/2"}},
		"the oldest out": {2, false, []string{a, a, b, b, a, c, c, a, b}, []string{a + "/0", a + "/1", b + "/0", b + "/2", "/1", c + "/0", c + "/2", "/1", b + "/0"}},
		"once is enough": {2, false, []string{a, b, c, d}, []string{a + "/0", b + "/0", c + "/0", d + "/0"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ack := &packet.Connack{}
				if tt.max > 0 {
					ack.Properties.TopicAliasMax = tt.max
					ack.Properties.Mark(packet.PropTopicAliasMax)
				}
				cl, s, p, _ := connect(t, client.Options{NoAutoAlias: tt.off}, ack)
				if got := aliased(t, cl, p, tt.in...); !slices.Equal(got, tt.want) {
					t.Errorf("sent %v, want %v", got, tt.want)
				}
				p.nc.Close() // a new connection knows none of them [MQTT-3.3.2-7]
				p, _ = s.accept(ack)
				if err := cl.AwaitConnection(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := aliased(t, cl, p, tt.in[0]); got[0][:2] != tt.in[0][:2] {
					t.Errorf("sent %v to a server that knows no alias", got)
				}
			})
		})
	}
}

func TestARequestAboveTheServersMaximumFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ack := &packet.Connack{}
		ack.Properties.MaxPacketSize = 30
		ack.Properties.Mark(packet.PropMaxPacketSize)
		c, _, p, _ := connect(t, client.Options{}, ack)
		long := "a-filter-that-does-not-fit-into-thirty-bytes"
		if _, err := c.Subscribe(t.Context(), client.Subscription{Filter: long}); packet.ReasonOf(err) != packet.PacketTooLarge {
			t.Errorf("Subscribe: %v", err)
		}
		if _, err := c.Unsubscribe(t.Context(), long); packet.ReasonOf(err) != packet.PacketTooLarge {
			t.Errorf("Unsubscribe: %v", err)
		}
		p.quiet()
		bye := &packet.Disconnect{Code: packet.DisconnectWithWill}
		bye.Properties.ReasonString = []byte(long)
		bye.Properties.Mark(packet.PropReasonString)
		go c.DisconnectWith(t.Context(), bye)
		if got := expect[*packet.Disconnect](p); got.Code != packet.DisconnectWithWill || len(got.Properties.ReasonString) > 0 {
			t.Errorf("left with %v, want the reason without its text", got)
		}
	})
}

func TestCredentialsAreAskedForBeforeEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := newServer(t, packet.V5)
		failed := make(chan error, 10)
		c := start(t, client.Options{Version: packet.V5, ClientID: "test", Dial: s.dial, Username: "never", Password: []byte("sent"),
			OnConnectFail: func(_ *client.Client, err error) { failed <- err },
			Credentials: func(ctx context.Context) (string, []byte, error) {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("a context without the time that is left")
				}
				if asked++; asked == 2 {
					return "", nil, errors.New("no token today")
				}
				return fmt.Sprint("user", asked), fmt.Append(nil, "token", asked), nil
			}})
		defer c.Close()
		p, sent := s.accept(&packet.Connack{})
		if string(sent.Username) != "user1" || string(sent.Password) != "token1" {
			t.Errorf("first with %q and %q", sent.Username, sent.Password)
		}
		synctest.Wait()
		p.nc.Close()
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "no token today") {
			t.Errorf("the attempt failed with %v", err)
		}
		for p = range s.conns { // the second attempt dialed and sent nothing
			if q, ok := <-p.in; ok {
				sent = q.(*packet.Connect)
				break
			}
		}
		p.send(&packet.Connack{})
		if string(sent.Username) != "user3" || string(sent.Password) != "token3" || asked != 3 {
			t.Errorf("then with %q and %q, asked %d times", sent.Username, sent.Password, asked)
		}
	})
}

func TestAPublishWaitsThroughManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, p, _ := connect(t, client.Options{SessionExpiry: -1}, &packet.Connack{})
		done := async(func() error { return c.Publish(t.Context(), client.Message{Topic: "a", QoS: 1}) })
		for i := range 50 {
			m := expect[*packet.Publish](p)
			if m.Dup != (i > 0) {
				t.Errorf("sent for the %dth time: %v", i+1, m)
			}
			select {
			case err := <-done:
				t.Fatalf("returned %v without an acknowledgement", err)
			default:
			}
			p.nc.Close()
			p, _ = s.accept(&packet.Connack{SessionPresent: true})
		}
		p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID})
		if err := <-done; err != nil {
			t.Error(err)
		}
		if st := c.Stats(); st.Resent != 50 || st.Acknowledged != 1 || st.Lost != 50 {
			t.Errorf("counted %+v", st)
		}
	})
}

func TestASessionAfterCleanStartIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		done := async(func() error {
			c, err := client.Connect(t.Context(), client.Options{Version: packet.V5, ClientID: "test", Dial: s.dial, CleanStart: true})
			if err == nil {
				c.Close()
			}
			return err
		})
		p, _ := s.accept(&packet.Connack{SessionPresent: true}) // [MQTT-3.2.2-2]
		if got := expect[*packet.Disconnect](p); got.Code != packet.ProtocolError {
			t.Errorf("left with %v", got)
		}
		if err := <-done; packet.ReasonOf(err) != packet.ProtocolError {
			t.Error(err)
		}
	})
}

// Two clients of one server must not come back at the same moments.
func TestWaitsBeforeAttemptsAreRandomWithinTheirBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lowest, highest = time.Second, 8 * time.Second
		var attempts []time.Time
		enough := make(chan struct{})
		c := start(t, client.Options{Reconnect: client.ReconnectOptions{Min: lowest, Max: highest},
			Dial: func(context.Context) (net.Conn, error) {
				if attempts = append(attempts, time.Now()); len(attempts) == 40 {
					close(enough)
				}
				return nil, errors.New("no network")
			}})
		<-enough
		c.Close()
		known := map[time.Duration]bool{}
		for i := 1; i < len(attempts); i++ {
			wait := attempts[i].Sub(attempts[i-1])
			if limit := min(highest, lowest<<min(i, 10)); wait < lowest || wait > limit {
				t.Errorf("wait %d is %v, want %v to %v", i, wait, lowest, limit)
			}
			known[wait] = true
		}
		if len(known) < 30 {
			t.Errorf("only %d different waits of 39", len(known))
		}
	})
}

// deaf is a server's end that reads CONNECT, answers it, and reads no more.
func deaf(t *testing.T, far net.Conn) {
	if _, err := packet.NewReader(far, packet.V5, 0).ReadPacket(); err != nil {
		t.Error(err)
	}
	if _, err := far.Write((&packet.Connack{}).Append(nil, packet.V5)); err != nil {
		t.Error(err)
	}
}

func TestAServerThatReadsNoMoreIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		stuck := true
		c := start(t, client.Options{Version: packet.V5, ClientID: "test", KeepAlive: -1, Dial: func(ctx context.Context) (net.Conn, error) {
			if !stuck {
				return s.dial(ctx)
			}
			stuck = false
			near, far := net.Pipe()
			t.Cleanup(func() { far.Close() })
			go deaf(t, far)
			return near, nil
		}})
		defer c.Close()
		if err := c.AwaitConnection(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		done := async(func() error { return c.Publish(t.Context(), client.Message{Topic: "a", QoS: 1}) })
		p, _ := s.accept(&packet.Connack{})
		if d := time.Since(begun); d < 10*time.Second || d > 40*time.Second {
			t.Errorf("left after %v", d)
		}
		p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID})
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// halfConn can close one direction, as TCP can.
type halfConn struct {
	net.Conn
	events chan<- string
}

func (h halfConn) CloseWrite() error { h.events <- "CloseWrite"; return nil }
func (h halfConn) Close() error      { h.events <- "Close"; return h.Conn.Close() }

// Closing at once could destroy the DISCONNECT on its way.
func TestTheServerHasTimeToReadTheFarewell(t *testing.T) {
	for name, closes := range map[string]bool{"it closes": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				events := make(chan string, 10)
				near, far := net.Pipe()
				defer far.Close()
				c := start(t, client.Options{Version: packet.V5, ClientID: "test", Dial: func(context.Context) (net.Conn, error) {
					return halfConn{near, events}, nil
				}})
				deaf(t, far)
				if err := c.AwaitConnection(t.Context()); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				done := async(c.Close)
				if p, err := packet.NewReader(far, packet.V5, 0).ReadPacket(); err != nil || p.Type() != packet.DISCONNECT {
					t.Errorf("got %v, %v", p, err)
				}
				synctest.Wait()
				if len(events) != 1 || <-events != "CloseWrite" {
					t.Errorf("not one direction closed first")
				}
				if closes {
					far.Close()
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				if d := time.Since(begun); closes && d != 0 || !closes && d != time.Second {
					t.Errorf("closed after %v", d)
				}
			})
		})
	}
}

// A server that accepts and leaves is not asked every second for ever.
func TestShortConnectionsDoNotStartTheBackOffAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lowest, highest = time.Second, 64 * time.Second
		_, s, p, _ := connect(t, client.Options{KeepAlive: -1, Reconnect: client.ReconnectOptions{Min: lowest, Max: highest}}, &packet.Connack{})
		lose := func() time.Duration {
			lost := time.Now()
			p.nc.Close()
			p, _ = s.accept(&packet.Connack{})
			return time.Since(lost)
		}
		for limit := 2 * lowest; limit < highest; limit *= 2 {
			if wait := lose(); wait < lowest || wait > limit {
				t.Errorf("waited %v, want %v to %v", wait, lowest, limit)
			}
		}
		var all time.Duration
		for range 8 { // with a limit of 2 s they could not be more than 16
			all += lose()
		}
		if all <= 16*time.Second {
			t.Errorf("eight waits took %v together", all)
		}
		<-time.After(highest) // this one lives
		if wait := lose(); wait > 2*lowest {
			t.Errorf("waited %v after a long connection", wait)
		}
	})
}
