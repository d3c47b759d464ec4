package conform

import (
	"errors"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// present is what the server says when it has the session.
const present = "CONNACK success session-present"

// clientSessionChecks are those of session state.
func clientSessionChecks() []clientCheck {
	return []clientCheck{
		{name: "state-is-kept", v311: "3.1.2-4 4.1.0-1", v5: "3.1.2-23", run: func(t *trial) {
			// What is open in both directions when the connection ends is known to the next.
			c, p := t.resume(client.Options{})
			t.send(c, "a", 1, "1")
			one := p.publish("q1 topic=a payload=1")
			t.send(c, "a", 2, "2")
			two := p.publish("q2 topic=a payload=2")
			p.send("PUBREC id=%d", two.ID)
			p.want("PUBREL id=%d", two.ID)
			p.send("PUBLISH q2 id=9 topic=b payload=in")
			p.want("PUBREC id=9")
			p.cut()
			p = t.again(present)
			p.want("PUBLISH q1 id=%d topic=a payload=1 dup", one.ID)
			p.want("PUBREL id=%d", two.ID)
			p.send("PUBLISH q2 id=9 topic=b payload=in dup")
			p.want("PUBREC id=9")
			t.handed("b=in")
		}, broken: map[string]fault{
			"the server's side is lost": edit(func(p *packet.Connack) { p.SessionPresent = false }),
			"PUBREL is lost":            {fromClient: later(packet.PUBREL)},
			"PUBLISH is lost":           {fromClient: later(packet.PUBLISH)},
		}},
		{name: "lost-session-is-dropped", v311: "3.1.2-6", v5: "3.2.2-5", run: func(t *trial) {
			c, p := t.resume(client.Options{CleanStart: !t.is5()})
			t.send(c, "a", 1, "1")
			p.publish("q1 topic=a payload=1")
			t.send(c, "a", 2, "2")
			two := p.publish("q2 topic=a payload=2")
			p.send("PUBREC id=%d", two.ID)
			p.want("PUBREL id=%d", two.ID)
			p.send("PUBLISH q2 id=9 topic=b payload=in")
			p.want("PUBREC id=9")
			p.cut()
			p = t.again("CONNACK success")
			p.publish("q1 topic=a payload=1") // as a new message, without DUP
			p.quiet()                         // and no PUBREL
			p.send("PUBLISH q2 id=9 topic=b payload=new")
			p.want("PUBREC id=9")
			t.handed("b=in", "b=new")
		}, broken: map[string]fault{
			"it is taken for the old one": edit(func(p *packet.Connack) { p.SessionPresent = true }),
			"DUP is set": fromClient(func(l *link, p *packet.Publish) packet.Packet {
				p.Dup = l.count > 1
				return p
			}),
		}},
		{name: "state-lasts-with-the-connection", v311: "4.1.0-2 4.1.0-1", v5: "4.1.0-1", run: func(t *trial) {
			c, p := t.connect(client.Options{CleanStart: true}, "")
			one := t.send(c, "a", 1, "1")
			id := p.publish("q1 topic=a payload=1").ID
			two := t.send(c, "a", 2, "2")
			id2 := p.publish("q2 topic=a payload=2").ID
			p.send("PUBLISH q2 id=9 topic=b payload=in")
			p.want("PUBREC id=9")
			time.Sleep(100 * time.Hour)
			p.quiet()
			p.send("PUBACK id=%d", id)
			p.send("PUBREC id=%d", id2)
			p.want("PUBREL id=%d", id2)
			p.send("PUBCOMP id=%d", id2)
			p.send("PUBLISH q2 id=9 topic=b payload=in dup")
			p.want("PUBREC id=9")
			t.handed("b=in")
			if err := errors.Join(one.Wait(t.soon()), two.Wait(t.soon())); err != nil {
				t.fail("publish: %v", err)
			}
		}, broken: map[string]fault{
			"PUBREC is not answered": unsent(packet.PUBREL),
			"a repeat is new": edit(func(p *packet.Publish) {
				if p.Dup {
					p.ID++
				}
			}),
		}},
	}
}

// later drops the client's packets of a type on connections after the first.
func later(t packet.Type) func(l *link, p packet.Packet, b []byte) [][]byte {
	return func(l *link, p packet.Packet, b []byte) [][]byte {
		if l.count > 1 && b[0]>>4 == byte(t) {
			return nil
		}
		return [][]byte{b}
	}
}

// parrot is an Authenticator that answers what it gets.
type parrot struct{ steps int }

func (*parrot) Method() string { return "PARROT" }
func (*parrot) Start() []byte  { return []byte("hello") }

func (p *parrot) Step(in []byte) ([]byte, error) {
	if string(in) == "wrong" {
		return nil, errors.New("the server is not who it says")
	}
	p.steps++
	return fmt.Appendf(nil, "%s %d", in, p.steps), nil
}

// clientAuthChecks are those of enhanced authentication.
func clientAuthChecks() []clientCheck {
	const auth = "auth-method=PARROT"
	// authenticated connects with an exchange of two steps.
	authenticated := func(t *trial) (*client.Client, *peer) {
		p, done := t.dial(client.Options{Auth: new(parrot), Reconnect: client.ReconnectOptions{Off: true}})
		c := p.expect(packet.CONNECT).(*packet.Connect)
		if string(c.Properties.AuthMethod) != "PARROT" || string(c.Properties.AuthData) != "hello" {
			t.fail("CONNECT has the authentication method %q and data %q", c.Properties.AuthMethod, c.Properties.AuthData)
		}
		for i := 1; i <= 2; i++ {
			p.quiet()
			p.send("AUTH continue-authentication %s auth-data=step", auth)
			p.want(`AUTH continue-authentication %s auth-data="step %d" exactly`, auth, i)
		}
		p.quiet()
		p.send("CONNACK success %s", auth)
		if err := <-done; err != nil {
			t.fail("the client does not connect: %v", err)
		}
		return t.clients[0], p
	}
	answer := func(fn func(p *packet.Auth)) fault { return alter(fn) }
	return []clientCheck{
		{name: "auth-exchange", v5: "3.1.2-30 4.12.0-3 4.12.0-5 3.15.1-1 3.15.2-1 3.15.2-2 3.15.2-3", run: func(t *trial) { authenticated(t) }, broken: map[string]fault{
			"PINGREQ before CONNACK": {fromClient: func(l *link, p packet.Packet, b []byte) [][]byte { return [][]byte{b, {0xC0, 0}} }},
			"another reason":         answer(func(p *packet.Auth) { p.Code = packet.ReAuthenticate }),
			"no reason":              sent(packet.AUTH, func([]byte) []byte { return []byte{0xF0, 0} }),
			"a reason of another":    sent(packet.AUTH, func(b []byte) []byte { b[2] = 0x87; return b }),
			"another method":         answer(func(p *packet.Auth) { p.Properties.AuthMethod = []byte("OTHER") }),
			"flags":                  sent(packet.AUTH, flag0),
			"a reason string": answer(func(p *packet.Auth) {
				p.Properties.ReasonString = []byte("why")
				p.Properties.Mark(packet.PropReasonString)
			}),
			"a user property": answer(func(p *packet.Auth) {
				p.Properties.User = []packet.User{{Key: []byte("k"), Value: []byte("v")}}
				p.Properties.Mark(packet.PropUser)
			}),
		}},
		{name: "auth-of-another-method-is-refused", v5: "4.12.0-5", run: func(t *trial) {
			for _, line := range []string{"CONNACK success auth-method=OTHER", "CONNACK success", "AUTH continue-authentication auth-method=OTHER"} {
				p, done := t.dial(client.Options{Auth: new(parrot)})
				p.expect(packet.CONNECT)
				p.send("%s", line)
				if p.awaitAny(); <-done == nil {
					t.fail("the client takes %s, expected an error", line)
				}
			}
		}, broken: map[string]fault{"any method will do": {fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			if p.Type() == packet.CONNACK {
				b = (&packet.Connack{Properties: authProperties("PARROT")}).Append(nil, packet.V5)
			}
			return [][]byte{b}
		}}}},
		{name: "auth-never-without-a-method", v5: "4.12.0-7", run: func(t *trial) {
			c, p := t.connect(client.Options{Reconnect: client.ReconnectOptions{Off: true}}, "")
			t.refused("to authenticate without a method", c.Reauthenticate(t.soon()))
			p.quiet()
			p.send("AUTH continue-authentication auth-method=ANY")
			p.dropped()
		}, broken: map[string]fault{"AUTH is answered": fromClient(func(l *link, p *packet.Disconnect) packet.Packet {
			return &packet.Auth{Code: packet.ContinueAuthentication, Properties: authProperties("ANY")}
		})}},
		{name: "re-authentication-keeps-the-method", v5: "4.12.1-1 4.12.0-5 3.15.2-1", run: func(t *trial) {
			c, p := authenticated(t)
			done := t.later(func() error { return c.Reauthenticate(t.ctx) })
			p.want("AUTH re-authenticate %s auth-data=hello exactly", auth)
			p.send("AUTH continue-authentication %s auth-data=again", auth)
			p.want(`AUTH continue-authentication %s auth-data="again 3" exactly`, auth)
			p.send("AUTH success %s", auth)
			if err := <-done; err != nil {
				t.fail("re-authenticate: %v", err)
			}
		}, broken: map[string]fault{"another method": fromClient(func(l *link, p *packet.Auth) packet.Packet {
			if l.seen++; l.seen > 2 {
				p.Properties.AuthMethod = []byte("OTHER")
			}
			return p
		})}},
		{name: "re-authentication-fails-and-closes", v5: "4.12.1-2", run: func(t *trial) {
			c, p := authenticated(t)
			done := t.later(func() error { return c.Reauthenticate(t.ctx) })
			p.expect(packet.AUTH)
			p.send("AUTH continue-authentication %s auth-data=wrong", auth)
			p.want("DISCONNECT not-authorized")
			p.closed()
			if <-done == nil {
				t.fail("Reauthenticate returns no error")
			}
		}, broken: map[string]fault{"no DISCONNECT": unsent(packet.DISCONNECT), "it stays": {deaf: true}}},
	}
}

func authProperties(method string) packet.Properties {
	p := packet.Properties{AuthMethod: []byte(method)}
	p.Mark(packet.PropAuthMethod)
	return p
}

// awaitAny takes what comes, or the end.
func (p *peer) awaitAny() {
	select {
	case <-p.in:
	case <-time.After(silence):
		p.t.fail("nothing came")
	}
}
