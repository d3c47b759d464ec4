package broker

import (
	"bytes"

	"github.com/wirebird/wirebird/packet"
)

// beginAuth starts the enhanced authentication that a CONNECT asks for. §4.12
func (k *core) beginAuth(c *client, p *packet.Connect, body []byte) {
	method := string(p.Properties.AuthMethod)
	var x Exchange
	if k.b.o.Hooks.Auth != nil {
		x = k.b.o.Hooks.Auth(method, k.connectRequest(c, p))
	}
	if x == nil { // [MQTT-4.12.0-1]
		k.refuse(c, packet.BadAuthenticationMethod, "")
		return
	}
	r := c.extra()
	r.exchange, r.method, r.connect = x, method, bytes.Clone(body)
	c.state = authenticating
	k.authStep(c, p.Properties.AuthData)
}

// onEarlyAuth takes what may come between CONNECT and CONNACK: AUTH or DISCONNECT.
func (k *core) onEarlyAuth(c *client, h packet.Header, body []byte) {
	switch h.Type {
	case packet.AUTH:
		data, ok := k.authData(c, h.Flags, body, packet.ContinueAuthentication)
		if ok {
			k.authStep(c, data)
		}
	case packet.DISCONNECT:
		c.state = ended
		c.conn.CloseQuick()
	default:
		k.fail(c, &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.1.2-30"})
	}
}

// authData decodes an AUTH and checks method and reason.
func (k *core) authData(c *client, flags byte, body []byte, want packet.ReasonCode) ([]byte, bool) {
	var p packet.Auth
	p.Properties.MaxUser = k.limits.MaxUserProperties
	err := p.Decode(c.version, flags, body)
	switch {
	case err != nil:
	case c.rare == nil || c.rare.method == "": // [MQTT-4.12.0-7]
		err = &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-4.12.0-7"}
	case string(p.Properties.AuthMethod) != c.rare.method: // [MQTT-4.12.0-5]
		err = &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-4.12.0-5"}
	case p.Code != want:
		err = &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-4.12.0-3"}
	}
	if err != nil {
		k.fail(c, err)
		return nil, false
	}
	return p.Properties.AuthData, true
}

// authStep feeds the exchange and sends its answer: AUTH, or the CONNACK.
func (k *core) authStep(c *client, data []byte) {
	reply, done, err := c.rare.exchange.Step(data)
	if err != nil { // [MQTT-4.12.0-4]
		k.b.log.Debug("authentication", "error", err)
		k.refuse(c, authCode(err), "")
		return
	}
	props := c.authProperties(reply)
	if !done {
		k.send(c, &packet.Auth{Code: packet.ContinueAuthentication, Properties: props}) // [MQTT-4.12.0-2]
		return
	}
	if name := c.rare.exchange.Username(); name != "" {
		c.setUsername(name)
	}
	var p packet.Connect
	p.Properties.MaxUser = k.limits.MaxUserProperties
	body := c.rare.connect
	c.rare.connect = nil
	if err := p.Decode(0, 0, body); err != nil {
		k.fail(c, err)
		return
	}
	v := k.askWill(c, &p)
	switch {
	case v.work != nil: // there is no packet to come back to: see Hooks.Publish
		k.refuse(c, packet.ImplementationSpecificError, "")
	case v.Code >= 0x80:
		k.refuse(c, packet.NotAuthorized, v.Reason)
	default:
		k.accept(c, &p, &props)
	}
}

func authCode(err error) packet.ReasonCode {
	if code := packet.ReasonOf(err); code != packet.UnspecifiedError {
		return code
	}
	return packet.NotAuthorized
}

// authProperties are the method and data of an AUTH or CONNACK [MQTT-4.12.0-5].
func (c *client) authProperties(data []byte) (p packet.Properties) {
	p.AuthMethod = []byte(c.rare.method)
	p.Mark(packet.PropAuthMethod)
	if len(data) > 0 {
		p.AuthData = data
		p.Mark(packet.PropAuthData)
	}
	return p
}

// onAuth authenticates a connected client again. §4.12.1
func (k *core) onAuth(c *client, flags byte, body []byte) {
	want := packet.ReAuthenticate
	if c.rare != nil && c.rare.again {
		want = packet.ContinueAuthentication
	}
	data, ok := k.authData(c, flags, body, want)
	if !ok {
		return
	}
	reply, done, err := c.rare.exchange.Step(data)
	if err != nil { // [MQTT-4.12.1-2]
		k.disconnect(c, authCode(err), "")
		return
	}
	c.rare.again = !done
	ack := packet.Auth{Code: packet.ContinueAuthentication, Properties: c.authProperties(reply)}
	if done {
		ack.Code = packet.Success
	}
	k.send(c, &ack)
}
