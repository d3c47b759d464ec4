package broker

import (
	"log/slog"

	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/internal/transport"
	"github.com/wirebird/wirebird/packet"
)

// send writes p. Reason String and User Properties stay away where the client does not
// want them [MQTT-3.1.2-29] or where they would make the packet larger than it accepts
// [MQTT-3.2.2-19].
func (k *core) send(c *client, p packet.Packet) {
	k.trim(c, p)
	buf := c.conn.Reserve(64)
	before := len(buf)
	buf = p.Append(buf, c.version)
	n := len(buf) - before
	if c.maxPacket > 0 && n > int(c.maxPacket) { // [MQTT-3.1.2-24]
		c.conn.Commit(buf[:before])
		k.stats.oversized++
		return
	}
	c.conn.Commit(buf)
	k.sent(p.Type(), n)
}

func (k *core) sent(t packet.Type, n int) {
	k.stats.packetsOut[t]++
	k.stats.bytesOut += uint64(n)
}

// problems returns the properties of p that tell of problems, nil when it has none.
func problems(p packet.Packet) *packet.Properties {
	switch p := p.(type) {
	case *packet.Connack:
		return &p.Properties
	case *packet.Puback:
		return &p.Properties
	case *packet.Pubrec:
		return &p.Properties
	case *packet.Pubrel:
		return &p.Properties
	case *packet.Pubcomp:
		return &p.Properties
	case *packet.Suback:
		return &p.Properties
	case *packet.Unsuback:
		return &p.Properties
	case *packet.Disconnect:
		return &p.Properties
	case *packet.Auth:
		return &p.Properties
	}
	return nil
}

func (k *core) trim(c *client, p packet.Packet) {
	props := problems(p)
	if props == nil || !props.Has(packet.PropReasonString) && !props.Has(packet.PropUser) {
		return
	}
	always := p.Type() == packet.CONNACK || p.Type() == packet.DISCONNECT
	if c.quiet && !always || c.maxPacket > 0 && len(p.Append(nil, c.version)) > int(c.maxPacket) {
		props.Unmark(packet.PropReasonString)
		props.Unmark(packet.PropUser)
	}
}

func withReason(props *packet.Properties, reason string) {
	if reason != "" {
		props.ReasonString = []byte(reason)
		props.Mark(packet.PropReasonString)
	}
}

// remote is a connection's peer in a line of the log: the system is asked for it only if
// the line is written.
type remote struct{ c *shard.Conn }

func (r remote) LogValue() slog.Value { return slog.StringValue(r.c.RemoteAddr()) }

// fail ends a connection whose client broke the rules [MQTT-4.13.1-1].
func (k *core) fail(c *client, err error) {
	code := packet.ReasonOf(err)
	reason := ""
	if e, ok := err.(*packet.Error); ok && e.Rule != "" {
		reason = "violates [" + e.Rule + "]"
	}
	k.b.log.Debug("client error", "error", err, "remote", remote{c.conn})
	if c.state == connected {
		k.disconnect(c, code, reason)
		return
	}
	k.refuse(c, code, reason)
}

// refuse answers a CONNECT with code, where its version has a word for it, and closes
// [MQTT-3.2.2-7]. Before the version is known nothing is sent.
func (k *core) refuse(c *client, code packet.ReasonCode, reason string) {
	if code == packet.ServerShuttingDown { // which only DISCONNECT can say
		code = packet.ServerUnavailable
	}
	k.stats.refused[code]++
	k.b.log.Debug("connection refused", "code", code.String(), "remote", remote{c.conn})
	ack := packet.Connack{Code: code}
	switch {
	case c.version == packet.V5 && connackCode(code):
		withReason(&ack.Properties, reason)
		k.send(c, &ack)
	case code == packet.UnsupportedProtocolVersion && !known(c.version):
		c.version = packet.V311 // what every client can read: return code 1 [MQTT3-3.1.2-2]
		k.send(c, &ack)
	case (c.version == packet.V311 || c.version == packet.V31) && v3Code(code):
		k.send(c, &ack)
	}
	k.dropConn(c)
}

// known tells whether v is a version of MQTT; a CONNECT may name any.
func known(v packet.Version) bool { return v == packet.V31 || v == packet.V311 || v == packet.V5 }

// connackCode tells whether an MQTT 5.0 CONNACK may carry code [MQTT-3.2.2-8].
func connackCode(code packet.ReasonCode) bool {
	switch code {
	case packet.UnspecifiedError, packet.MalformedPacket, packet.ProtocolError, packet.ImplementationSpecificError,
		packet.UnsupportedProtocolVersion, packet.ClientIdentifierNotValid, packet.BadUserNameOrPassword,
		packet.NotAuthorized, packet.ServerUnavailable, packet.ServerBusy, packet.Banned,
		packet.BadAuthenticationMethod, packet.TopicNameInvalid, packet.PacketTooLarge, packet.QuotaExceeded,
		packet.PayloadFormatInvalid, packet.RetainNotSupported, packet.QoSNotSupported, packet.UseAnotherServer,
		packet.ServerMoved, packet.ConnectionRateExceeded:
		return true
	}
	return false
}

// v3Code tells whether an MQTT 3 CONNACK has a return code for code; others just close.
func v3Code(code packet.ReasonCode) bool {
	switch code {
	case packet.UnsupportedProtocolVersion, packet.ClientIdentifierNotValid, packet.ServerUnavailable,
		packet.ServerBusy, packet.QuotaExceeded, packet.BadUserNameOrPassword, packet.NotAuthorized, packet.Banned,
		packet.ServerShuttingDown, packet.ConnectionRateExceeded:
		return true
	}
	return false
}

// disconnect ends an accepted connection: MQTT 5.0 clients are told why. The will goes
// out, as after a network failure [MQTT-3.1.2-8].
func (k *core) disconnect(c *client, code packet.ReasonCode, reason string) {
	if c.state == ended {
		return
	}
	k.stats.disconnected[code]++
	if code != packet.ServerShuttingDown && c.s != nil {
		k.b.log.Info("client disconnected", "client_id", c.s.id, "reason", code.String(), "remote", remote{c.conn})
	}
	if c.version == packet.V5 && c.state == connected {
		p := packet.Disconnect{Code: disconnectCode(code)}
		withReason(&p.Properties, reason)
		k.send(c, &p)
	}
	k.detach(c, false)
	k.dropConn(c)
}

// disconnectCode maps codes that DISCONNECT does not have [MQTT-3.14.2-1].
func disconnectCode(code packet.ReasonCode) packet.ReasonCode {
	switch code {
	case packet.UnsupportedProtocolVersion, packet.ClientIdentifierNotValid, packet.BadUserNameOrPassword,
		packet.ServerUnavailable, packet.Banned, packet.PacketIdentifierInUse, packet.PacketIdentifierNotFound:
		return packet.UnspecifiedError
	}
	return code
}

// dropConn closes a connection that has no session, or no longer.
func (k *core) dropConn(c *client) {
	c.state = ended
	c.conn.Close()
}

// describe fills in what the transport knows of a connection.
func describe(conn *shard.Conn, p *Peer) {
	if o := conn.Origin(); o != nil {
		p.Listener, _ = o.Tag.(*Listener)
	}
	if info, ok := conn.Filter().(transport.Info); ok {
		var t transport.Peer
		info.Describe(&t)
		p.Remote, p.TLS = t.Remote, t.TLS
	}
	if p.Remote == "" {
		p.Remote = conn.RemoteAddr()
	}
}
