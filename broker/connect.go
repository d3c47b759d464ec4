package broker

import (
	"strconv"
	"time"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// onConnect begins a session or resumes one. rest are the connection's bytes from the
// CONNECT on, for the case that the session lives on another shard.
func (k *core) onConnect(c *client, body, rest []byte) step {
	var p packet.Connect
	p.Properties.MaxUser = k.limits.MaxUserProperties
	err := p.Decode(0, 0, body)
	c.version = p.Version
	if err != nil {
		k.fail(c, err)
		return stepDone
	}
	c.quiet = p.Properties.Has(packet.PropRequestProblem) && p.Properties.RequestProblem == 0
	if p.Properties.Has(packet.PropMaxPacketSize) {
		c.maxPacket = p.Properties.MaxPacketSize
	}
	if c.conn.Over() { // limits.max_connections
		k.refuse(c, packet.QuotaExceeded, "")
		return stepDone
	}
	if code := k.checkConnect(c, &p); code != packet.Success {
		k.refuse(c, code, "")
		return stepDone
	}
	if home := k.b.home(p.ClientID); len(p.ClientID) > 0 && home != k.id {
		c.conn.Move(k.l.Peers()[home], rest)
		return stepMoved
	}
	if c.rare == nil && !k.mayConnect() { // else this CONNECT was let in, and comes again
		k.refuse(c, packet.ConnectionRateExceeded, "")
		return stepDone
	}
	if p.HasUsername && (c.rare == nil || !c.rare.admitted) {
		c.setUsername(string(p.Username))
	}
	if p.Properties.Has(packet.PropAuthMethod) {
		k.beginAuth(c, &p, body)
		return stepDone
	}
	s, ok := k.admit(c, &p)
	if ok {
		k.accept(c, &p, nil)
	}
	return s
}

func (k *core) connectRequest(c *client, p *packet.Connect) *ConnectRequest {
	return &ConnectRequest{
		Peer:        k.peer(c, string(p.ClientID)),
		HasUsername: p.HasUsername, HasPassword: p.HasPassword, Password: p.Password,
		CleanStart: p.CleanStart, Properties: &p.Properties,
	}
}

// checkConnect gives the reason code that p deserves before anybody is asked.
func (k *core) checkConnect(c *client, p *packet.Connect) packet.ReasonCode {
	if k.b.state.Load() != stateRunning {
		return packet.ServerShuttingDown
	}
	switch n := len(p.ClientID); {
	case n > k.limits.MaxClientIDLength,
		p.Version == packet.V31 && (n == 0 || n > 23),
		p.Version == packet.V311 && n == 0 && !p.CleanStart: // [MQTT3-3.1.3-8]
		return packet.ClientIdentifierNotValid
	}
	if w := p.Will; w != nil {
		switch {
		case topic.CheckName(w.Topic) != nil, !fits(k.limits, w.Topic), reserved(w.Topic):
			return packet.TopicNameInvalid
		case int(w.QoS) > k.limits.MaxQoS:
			return packet.QoSNotSupported // [MQTT-3.2.2-12]
		case w.Retain && k.limits.RetainUnavailable:
			return packet.RetainNotSupported // [MQTT-3.2.2-13]
		}
	}
	return packet.Success
}

// admit asks the hooks about a CONNECT without enhanced authentication, and then about
// its will, as who the client is known by then. It reports false when the client may not
// connect, or when the answer comes later.
func (k *core) admit(c *client, p *packet.Connect) (s step, ok bool) {
	if hook := k.b.o.Hooks.Connect; hook != nil && (c.rare == nil || !c.rare.admitted) {
		v, parked := k.decide(c, func() Verdict { return hook(k.connectRequest(c, p)) })
		if parked {
			return stepParked, false
		}
		if v.Code >= 0x80 { // [MQTT-3.1.4-2]
			k.refuse(c, v.Code, v.Reason)
			return stepDone, false
		}
		if v.Username != "" {
			c.setUsername(v.Username)
		}
	}
	v, parked := k.decide(c, func() Verdict { return k.askWill(c, p) })
	if parked {
		c.rare.admitted = true // the CONNECT comes again, for the will's answer
		return stepParked, false
	}
	if v.Code >= 0x80 {
		k.refuse(c, packet.NotAuthorized, v.Reason)
		return stepDone, false
	}
	return stepDone, true
}

// askWill asks the Publish hook about a Will Message.
func (k *core) askWill(c *client, p *packet.Connect) Verdict {
	w := p.Will
	if w == nil || k.b.o.Hooks.Publish == nil {
		return Verdict{}
	}
	return k.b.o.Hooks.Publish(&PublishRequest{Peer: k.peer(c, string(p.ClientID)), Topic: string(w.Topic),
		Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, Will: true})
}

// accept makes c the connection of its session. finish are properties for the CONNACK
// from enhanced authentication.
func (k *core) accept(c *client, p *packet.Connect, finish *packet.Properties) {
	before := k.mark()
	assigned := false
	id := string(p.ClientID)
	if id == "" { // [MQTT-3.1.3-6], [MQTT-3.2.2-16]
		id, assigned = k.newClientID(), true
	}
	s := k.sessions[id]
	if s == nil && len(k.sessions) >= k.share(k.limits.MaxSessions) {
		k.refuse(c, packet.QuotaExceeded, "")
		return
	}
	if s != nil && s.c != nil { // [MQTT-3.1.4-3]
		if !k.mayTakeOver(s.id) {
			k.refuse(c, packet.ConnectionRateExceeded, "")
			return
		}
		k.stats.takeovers++
		k.disconnect(s.c, packet.SessionTakenOver, "")
		s = k.sessions[id] // it may have ended with its connection
	}
	if s != nil && p.CleanStart { // [MQTT-3.1.2-4]
		k.endSession(s)
		s = nil
	}
	present := s != nil
	if s == nil {
		s = k.newSession(id)
	}
	k.attach(c, s, p)

	ack := packet.Connack{SessionPresent: present}
	if finish != nil {
		ack.Properties = *finish
	}
	if c.version == packet.V5 {
		k.connackProperties(c, p, &ack, assigned)
	}
	if c.maxPacket > 0 && len(ack.Append(nil, c.version)) > int(c.maxPacket) {
		k.disconnect(c, packet.PacketTooLarge, "") // it must not be sent [MQTT-3.1.2-24], and would be waited for
		return
	}
	if _, ending := k.endings[id]; !ending && !k.changed(before) {
		k.send(c, &ack)
		k.opened(c)
		return
	}
	c.state = committing
	c.conn.Pause() // what follows is answered after the CONNACK [MQTT-3.2.0-1]
	k.hold(c, ack.Append(nil, c.version), packet.CONNACK, func() {
		k.opened(c)
		c.conn.Resume()
	})
}

// opened starts delivery to a connection whose CONNACK is on its way.
func (k *core) opened(c *client) {
	c.state = connected
	c.due = 0
	k.stats.connects++
	if c.keepAlive > 0 {
		k.watch(c, k.l.Now()+c.silence())
	}
	k.pump(c)
}

// attach ties c and s together with what CONNECT says of both.
func (k *core) attach(c *client, s *sess, p *packet.Connect) {
	props := &p.Properties
	c.s, s.c = s, c
	s.ends = 0
	if s.will != nil { // it waits for its delay, and is stopped [MQTT-3.1.3-9]
		s.will = nil
		k.recordFor(s, journal.Op{Kind: journal.EndWill})
	}
	if p.Will != nil {
		s.will = newWill(p.Will, k)
	}
	k.setExpiry(s, k.sessionExpiry(p))
	if s.will != nil {
		k.recordWill(s)
	}
	seconds := uint32(p.KeepAlive)
	if limit := uint32(k.limits.MaxKeepAlive / time.Second); limit > 0 && c.version == packet.V5 && (seconds == 0 || seconds > limit) {
		seconds = limit
	}
	c.keepAlive = seconds * 1500 // milliseconds: one and a half times [MQTT-3.1.2-22]
	receiveMax := k.limits.MaxInflight
	if props.Has(packet.PropReceiveMax) {
		receiveMax = min(receiveMax, int(props.ReceiveMax)) // [MQTT-3.3.4-9]
	}
	s.receiveMax = uint16(receiveMax)
	if s.out != nil {
		s.out.Start(receiveMax)
	}
	if props.Has(packet.PropTopicAliasMax) && min(int(props.TopicAliasMax), k.limits.TopicAliasMaximum) > 0 {
		c.own().aliasOut = session.NewAliasOut(min(props.TopicAliasMax, uint16(k.limits.TopicAliasMaximum)))
	}
	k.online(s, true)
}

// sessionExpiry is the Session Expiry Interval in seconds that applies.
func (k *core) sessionExpiry(p *packet.Connect) uint32 {
	expiry := uint32(0)
	switch {
	case p.Version == packet.V5:
		expiry = p.Properties.SessionExpiry
	case !p.CleanStart:
		expiry = neverExpires
	}
	return k.lowerExpiry(expiry)
}

// lowerExpiry applies MaxSessionExpiry.
func (k *core) lowerExpiry(seconds uint32) uint32 {
	if limit := k.limits.MaxSessionExpiry; limit > 0 {
		return min(seconds, uint32(min(int64(limit/time.Second), neverExpires)))
	}
	return seconds
}

// setExpiry changes a session's Session Expiry Interval. A session that from now on ends
// with its connection stays in the journal until then: what waits for it may be there only.
func (k *core) setExpiry(s *sess, seconds uint32) {
	fresh := seconds > 0 && !s.durable
	s.expiry, s.durable = seconds, s.durable || seconds > 0
	k.recordFor(s, journal.Op{Kind: journal.PutSession, Name: s.id, Expiry: seconds})
	if k.recording && fresh {
		k.makeDurable(s)
	}
}

// connackProperties tells an MQTT 5.0 client what it got and what holds here.
func (k *core) connackProperties(c *client, p *packet.Connect, ack *packet.Connack, assigned bool) {
	out := &ack.Properties
	l := k.limits
	if c.s.expiry != p.Properties.SessionExpiry {
		out.SessionExpiry = c.s.expiry
		out.Mark(packet.PropSessionExpiry)
	}
	if l.ReceiveMaximum < mostIdentifiers {
		out.ReceiveMax = uint16(l.ReceiveMaximum)
		out.Mark(packet.PropReceiveMax)
	}
	if l.MaxQoS < 2 { // [MQTT-3.2.2-9]
		out.MaxQoS = byte(l.MaxQoS)
		out.Mark(packet.PropMaxQoS)
	}
	if l.RetainUnavailable {
		out.RetainAvailable = 0
		out.Mark(packet.PropRetainAvailable)
	}
	out.MaxPacketSize = uint32(l.MaxPacketSize)
	out.Mark(packet.PropMaxPacketSize)
	if assigned { // [MQTT-3.1.3-7]
		out.AssignedClientID = []byte(c.s.id)
		out.Mark(packet.PropAssignedClientID)
	}
	if l.TopicAliasMaximum > 0 {
		out.TopicAliasMax = uint16(l.TopicAliasMaximum)
		out.Mark(packet.PropTopicAliasMax)
	}
	if limit := int64(l.MaxKeepAlive / time.Second); limit > 0 && (p.KeepAlive == 0 || int64(p.KeepAlive) > limit) {
		out.ServerKeepAlive = uint16(min(limit, 65535))
		out.Mark(packet.PropServerKeepAlive)
	}
	if k.b.o.ResponseInformation != "" && p.Properties.RequestResponse == 1 { // [MQTT-3.1.2-28]
		out.ResponseInfo = []byte(k.b.o.ResponseInformation)
		out.Mark(packet.PropResponseInfo)
	}
}

// newClientID makes an identifier that no session has and that lives on this shard.
func (k *core) newClientID() string {
	for {
		id := "auto-" + strconv.FormatUint(k.b.o.Random(), 36) + strconv.FormatUint(k.b.o.Random()>>32, 36)
		if k.b.home([]byte(id)) == k.id && k.sessions[id] == nil {
			return id
		}
	}
}

// onDisconnect ends the connection as the client wishes.
func (k *core) onDisconnect(c *client, flags byte, body []byte) {
	var p packet.Disconnect
	p.Properties.MaxUser = k.limits.MaxUserProperties
	if err := p.Decode(c.version, flags, body); err != nil {
		k.fail(c, err)
		return
	}
	if p.Properties.Has(packet.PropServerReference) { // a server's, §3.14.2.2.5
		k.fail(c, &packet.Error{Code: packet.ProtocolError})
		return
	}
	if p.Properties.Has(packet.PropSessionExpiry) {
		if c.s.expiry == 0 && p.Properties.SessionExpiry != 0 {
			k.fail(c, &packet.Error{Code: packet.ProtocolError})
			return
		}
		k.setExpiry(c.s, k.lowerExpiry(p.Properties.SessionExpiry))
	}
	k.stats.disconnects++
	k.detach(c, p.Code == packet.Success) // [MQTT-3.14.4-3]
	c.state = ended
	c.conn.CloseQuick()
}

// makeDurable tells the table, and the journal, of the subscriptions of a session that
// from now on outlives its connection.
func (k *core) makeDurable(s *sess) {
	for i := range s.subs {
		b := &s.subs[i]
		b.opts |= route.Durable
		k.b.routes.Subscribe(b.filter, s.h, b.opts, b.id)
		k.recordFor(s, journal.Op{Kind: journal.PutSubscription, Name: b.filter, Options: uint8(b.opts), SubID: b.id})
	}
}
