package conform

import (
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/wirebird/wirebird/internal/scram"
	"github.com/wirebird/wirebird/packet"
)

// subIDs are the subscription identifiers of a message, in order.
func subIDs(m *packet.Publish) []uint32 {
	ids := slices.Clone(m.Properties.SubscriptionIDs)
	slices.Sort(ids)
	return ids
}

// subscriptionIDChecks are those of Subscription Identifier.
func subscriptionIDChecks() []check {
	supported := func(t *trial) *conn {
		a := t.connect("a", "clean")
		if p := &a.ack.Properties; p.Has(packet.PropSubIDAvailable) && p.SubIDAvailable == 0 {
			t.skip("the broker has no subscription identifiers")
		}
		return a
	}
	return []check{
		{name: "subscription-identifier", v5: "3.3.4-3", run: func(t *trial) {
			a := supported(t)
			for i, id := range []int{1, 127, 128, 268435455} {
				a.subscribe(fmt.Sprintf("filter=~/%d q1 sub-id=%d", i, id))
				a.publish("q1 topic=~/%d payload=x", i)
				a.take("q1 topic=~/%d payload=x sub-id=%d", i, id)
			}
			a.subscribe("filter=~/none q1")
			a.publish("q1 topic=~/none payload=x")
			a.take("q1 topic=~/none payload=x !sub-id")
			a.subscribe("filter=~/0 q1") // replaced: it has none any more
			a.publish("q1 topic=~/0 payload=x")
			a.take("q1 topic=~/0 payload=x !sub-id")
		}},
		{name: "subscription-identifiers-of-overlaps", v5: "3.3.4-3 3.3.4-4 3.3.4-5", run: func(t *trial) {
			a := supported(t)
			a.subscribe("filter=~/# q1 sub-id=3")
			a.subscribe("filter=~/+ q1 sub-id=5")
			a.subscribe("filter=~/a q1 sub-id=7")
			a.publish("q1 topic=~/a payload=x")
			a.publish("q1 topic=~/end/end payload=end")
			var copies [][]uint32
			for {
				m, ok := a.next("PUBLISH").(*packet.Publish)
				if !ok {
					t.fail("a< expected PUBLISH")
				}
				a.acknowledge(m)
				if string(m.Payload) == "end" {
					break
				}
				copies = append(copies, subIDs(m))
			}
			slices.SortFunc(copies, slices.Compare)
			single, several := [][]uint32{{3, 5, 7}}, [][]uint32{{3}, {5}, {7}}
			if got := fmt.Sprint(copies); got != fmt.Sprint(single) && got != fmt.Sprint(several) {
				t.fail("a< the copies have the identifiers %v, expected %v in one or %v in three", copies, single, several)
			}
		}},
		{name: "subscription-identifier-from-a-client", v5: "3.3.4-6", run: func(t *trial) {
			t.violate("PUBLISH q0 topic=~/a payload=x sub-id=1")
		}},
		{name: "subscription-identifier-0", v5: "4.13.1-1", run: func(t *trial) {
			supported(t)
			t.violate("SUBSCRIBE id=1 filter=~/a q0 sub-id=0")
		}},
	}
}

// sharedSupported ends the check where there are no shared subscriptions.
func (t *trial) sharedSupported() {
	a := t.connect("shared", "clean")
	if p := &a.ack.Properties; p.Has(packet.PropSharedAvailable) && p.SharedAvailable == 0 {
		t.skip("the broker has no shared subscriptions")
	}
}

// sharedChecks are those of shared subscriptions.
func sharedChecks() []check {
	const filter = "filter=$share/~/~/a"
	return []check{
		{name: "shared-bad-filters", v5: "4.8.2-1 4.8.2-2", run: func(t *trial) {
			t.sharedSupported()
			for _, f := range []string{"$share//~/a", "$share/~", "$share/~/", "$share/~+/a", "$share/#/a", "$share/+/a", "$share/"} {
				c := t.connect("a", "clean")
				c.send("SUBSCRIBE id=1 filter=%s q0", f)
				c.refusesFilter()
			}
		}},
		{name: "shared-qos", v5: "4.8.2-3", run: func(t *trial) {
			t.sharedSupported()
			a, b, p := t.connect("a", "clean"), t.connect("b", "clean"), t.connect("p", "clean")
			a.subscribe(filter + " q0 filter=~/end q0")
			b.subscribe(filter + " q1 filter=~/end q0")
			const n = 20
			for i := range n {
				p.publish("q2 topic=~/a payload=%d", i)
			}
			p.publish("q0 topic=~/end payload=end")
			got := map[string]bool{}
			for qos, c := range []*conn{a, b} {
				for range n + 1 {
					m, ok := c.next("PUBLISH").(*packet.Publish)
					if ok && string(m.Payload) == "end" {
						break
					}
					if !ok || int(m.QoS) != qos || got[string(m.Payload)] {
						t.fail("%s< %s came twice or at another QoS than the granted %d", c.name, describe(m), qos)
					}
					got[string(m.Payload)] = true
					c.acknowledge(m)
				}
			}
			// Another order at another QoS is no mistake: wait for the rest.
			for len(got) < n {
				m, ok := b.next("the messages that are missing").(*packet.Publish)
				if !ok {
					t.fail("b< expected PUBLISH")
				}
				got[string(m.Payload)] = true
				b.acknowledge(m)
			}
		}},
		{name: "shared-qos-2-is-completed", v5: "4.8.2-4", run: func(t *trial) {
			t.sharedSupported()
			a := t.session("a", "")
			p := t.connect("p", "clean")
			a.subscribe(filter + " q2")
			p.publish("q2 topic=~/a payload=1")
			m := a.message("q2 topic=~/a payload=1")
			b := t.connect("b", "clean")
			b.subscribe(filter + " q2")
			a.cut()
			b.nothingFrom(p, 2)
			a = t.session("a", "")
			a.want(fmt.Sprintf("PUBLISH q2 topic=~/a payload=1 dup id=%d", m.ID))
			a.acknowledge(m)
			a.ping()
			b.ping()
		}},
		{name: "shared-session-ends", v5: "4.8.2-5", run: func(t *trial) {
			t.sharedSupported()
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe(filter + " q2")
			p.publish("q2 topic=~/a payload=1")
			a.message("q2 topic=~/a payload=1")
			b := t.connect("b", "clean")
			b.subscribe(filter + " q2")
			a.cut() // and the session with it
			b.nothingFrom(p, 2)
			p.publish("q2 topic=~/a payload=2")
			b.take("q2 topic=~/a payload=2")
		}},
		{name: "shared-refusal", v5: "4.8.2-6", run: func(t *trial) {
			t.sharedSupported()
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe(filter + " q2")
			p.publish("q1 topic=~/a payload=1")
			one := a.message("q1 topic=~/a payload=1")
			p.publish("q2 topic=~/a payload=2")
			two := a.message("q2 topic=~/a payload=2")
			b := t.connect("b", "clean")
			b.subscribe(filter + " q2")
			a.send("PUBACK id=%d quota-exceeded", one.ID)
			a.send("PUBREC id=%d quota-exceeded", two.ID)
			a.ping()
			b.nothingFrom(p, 2)
		}},
	}
}

// disconnectChecks are those of DISCONNECT.
func disconnectChecks() []check {
	return []check{
		{name: "after-disconnect", v311: "3.14.4-2", v5: "3.14.4-1", run: func(t *trial) {
			// What a client sends after DISCONNECT is not processed.
			w, a := t.connect("w", "clean"), t.connect("a", "clean")
			w.subscribe("filter=~/a q0")
			a.bytes("DISCONNECT and PUBLISH", append([]byte{0xE0, 0}, publishBytes(t.v, 0, t.text("~/a"), 0, nil, []byte("never"))...))
			a.closed()
			w.nothingFrom(t.connect("p", "clean"), 0)
		}},
		{name: "disconnect-closes", v31: "3.14-disconnect", v311: "3.14.4-3", v5: "3.14.4-2", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.send("DISCONNECT")
			a.closed()
		}},
		{name: "disconnect-of-the-broker", v5: "3.14.2-1 3.14.2-2 3.14.4-1 3.14.4-2 4.13.2-1", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q0")
			a.bytes("PUBLISH with QoS 3, then PINGREQ", append(publishBytes(t.v, 6, t.text("~/b"), 1, nil, nil), 0xC0, 0))
			p, err := a.read(t.patience())
			if err == errSilent {
				t.fail("a< the broker keeps the connection open, expected it to close")
			}
			if err != nil {
				return // it need not say why
			}
			d, ok := p.(*packet.Disconnect)
			if !ok || d.Code < 0x80 || d.Properties.Has(packet.PropSessionExpiry) {
				t.fail("a< %s came, expected DISCONNECT of 0x80 or above without session expiry", describe(p))
			}
			a.closed()
		}},
		{name: "no-disconnect-before-connack", v5: "3.14.0-1", run: func(t *trial) {
			for what, b := range map[string][]byte{
				"CONNECT with the reserved flag":   rawConnect("MQTT", 5, 3, 0, t.text("~a")),
				"CONNECT with bytes after its end": rawConnect("MQTT", 5, 2, 0, t.text("~a"), "extra"),
				"PUBLISH":                          publishBytes(t.v, 0, t.text("~/a"), 0, nil, nil),
				"PINGREQ":                          {0xC0, 0},
				"a packet of type 0":               {0, 0},
			} {
				c := t.dial("a")
				c.bytes(what, b)
				c.refused()
			}
		}},
	}
}

const scramMethod = "SCRAM-SHA-256"

// scram begins an exchange and returns it with the broker's first AUTH.
func (t *trial) scram(c *conn, password string) (*scram.Client, *packet.Auth) {
	if t.o.Username == "" || t.o.Password == "" {
		t.skip("enhanced authentication needs --user and --password of a SCRAM-SHA-256 user")
	}
	s := scram.NewClient(t.o.Username, password, base64.RawStdEncoding.EncodeToString([]byte(t.tag+t.tag)))
	first, _, err := s.Step(nil)
	if err != nil {
		t.fail("SCRAM: %v", err)
	}
	c.send("CONNECT v5 id=~a clean auth-method=%s auth-data=%q", scramMethod, first)
	switch p := c.next("AUTH").(type) {
	case *packet.Auth:
		return s, p
	case *packet.Connack:
		if p.Code >= 0x80 {
			t.skip("the broker does not know SCRAM-SHA-256 (%v)", p.Code)
		}
	}
	t.fail("a< expected AUTH continue-authentication")
	return nil, nil
}

// answered checks an AUTH of the broker and returns the client's next message.
func (t *trial) answered(s *scram.Client, p *packet.Auth) []byte {
	if p.Code != packet.ContinueAuthentication || string(p.Properties.AuthMethod) != scramMethod {
		t.fail("a< %s came, expected AUTH continue-authentication auth-method=%s", describe(p), scramMethod)
	}
	out, _, err := s.Step(p.Properties.AuthData)
	if err != nil {
		t.fail("SCRAM: %v", err)
	}
	return out
}

// scramAccepted completes an exchange.
func (t *trial) scramAccepted() *conn {
	c := t.dial("a")
	s, p := t.scram(c, t.o.Password)
	c.send("AUTH continue-authentication auth-method=%s auth-data=%q", scramMethod, t.answered(s, p))
	ack := c.accepted()
	if string(ack.Properties.AuthMethod) != scramMethod {
		t.fail("a< CONNACK has the authentication method %q, expected %q", ack.Properties.AuthMethod, scramMethod)
	}
	if _, done, err := s.Step(ack.Properties.AuthData); err != nil || !done {
		t.fail("SCRAM: the broker does not prove that it knows the password: %v", err)
	}
	return c
}

// authChecks are those of enhanced authentication.
func authChecks() []check {
	return []check{
		{name: "auth-unknown-method", v5: "4.12.0-1 4.13.2-1", run: func(t *trial) {
			c := t.dial("a")
			c.send(`CONNECT v5 id=~a clean auth-method="~" auth-data=x`)
			c.refused(packet.BadAuthenticationMethod, packet.NotAuthorized)
		}},
		{name: "auth-without-method", v5: "4.12.0-7", run: func(t *trial) {
			t.violate("AUTH re-authenticate auth-method="+scramMethod, "AUTH continue-authentication auth-method="+scramMethod)
		}},
		{name: "auth-succeeds", v5: "4.12.0-2 4.12.0-5", run: func(t *trial) { t.scramAccepted().ping() }},
		{name: "auth-fails", v5: "4.12.0-4 3.1.4-2", run: func(t *trial) {
			c := t.dial("a")
			s, p := t.scram(c, t.o.Password+"wrong")
			c.send("AUTH continue-authentication auth-method=%s auth-data=%q", scramMethod, t.answered(s, p))
			c.refused()
		}},
		{name: "auth-other-method-midway", v5: "4.12.0-5 4.12.0-4", run: func(t *trial) {
			c := t.dial("a")
			s, p := t.scram(c, t.o.Password)
			c.send("AUTH continue-authentication auth-method=~ auth-data=%q", t.answered(s, p))
			c.refused()
		}},
		{name: "re-authentication-with-another-method", v5: "4.12.1-1", run: func(t *trial) {
			c := t.scramAccepted()
			c.send("AUTH re-authenticate auth-method=~ auth-data=x")
			c.dropped()
		}},
		{name: "re-authentication-fails", v5: "4.12.1-2", run: func(t *trial) {
			c := t.scramAccepted()
			c.send("AUTH re-authenticate auth-method=%s auth-data=nonsense", scramMethod)
			p, err := c.read(t.patience())
			if err == nil {
				if a, ok := p.(*packet.Auth); ok {
					c.send("AUTH continue-authentication auth-method=%s auth-data=nonsense", scramMethod)
					_ = a
					p, err = c.read(t.patience())
				}
			}
			if err != nil {
				t.fail("a< no DISCONNECT came, expected one with a fitting reason")
			}
			if d, ok := p.(*packet.Disconnect); !ok || d.Code < 0x80 {
				t.fail("a< %s came, expected DISCONNECT with a fitting reason", describe(p))
			}
			c.closed()
		}},
		{name: "re-authentication", v5: "4.12.0-2 4.12.0-5", run: func(t *trial) {
			c := t.scramAccepted()
			s := scram.NewClient(t.o.Username, t.o.Password, t.tag+"again")
			first, _, _ := s.Step(nil)
			c.send("AUTH re-authenticate auth-method=%s auth-data=%q", scramMethod, first)
			p, ok := c.next("AUTH").(*packet.Auth)
			if !ok {
				t.fail("a< expected AUTH continue-authentication")
			}
			c.send("AUTH continue-authentication auth-method=%s auth-data=%q", scramMethod, t.answered(s, p))
			last, ok := c.next("AUTH").(*packet.Auth)
			if !ok || last.Code != packet.Success || string(last.Properties.AuthMethod) != scramMethod {
				t.fail("a< expected AUTH success auth-method=%s", scramMethod)
			}
			if _, done, err := s.Step(last.Properties.AuthData); err != nil || !done {
				t.fail("SCRAM: the broker does not prove that it knows the password: %v", err)
			}
			c.ping()
		}},
	}
}
