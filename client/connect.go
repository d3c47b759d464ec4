package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// open connects to the server, or to where it sends us, and brings the
// connection up to an accepted CONNACK.
func (c *Client) open(ctx context.Context) (*conn, *packet.Connack, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.ConnectTimeout)
	defer cancel()
	var err error
	for range maxReferences {
		var moved *reference
		for _, t := range c.targets() {
			var cn *conn
			var ack *packet.Connack
			if cn, ack, err = c.negotiate(ctx, t); err == nil {
				return cn, ack, nil
			}
			if r, ok := errors.AsType[*reference](err); ok && c.refer(t, r) {
				moved = r
				break
			}
			if ctx.Err() != nil {
				break
			}
		}
		if moved == nil || ctx.Err() != nil {
			break
		}
	}
	c.forgetElsewhere()
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = ctx.Err()
	}
	return nil, nil, fmt.Errorf("connect: %w", err)
}

// negotiate connects to t with the version there is, or with the newest that t
// takes.
func (c *Client) negotiate(ctx context.Context, t *target) (*conn, *packet.Connack, error) {
	versions := []packet.Version{packet.V5, packet.V311, packet.V31}
	c.mu.Lock()
	if c.version != 0 {
		versions = []packet.Version{c.version}
	}
	c.mu.Unlock()
	var first error
	for _, v := range versions {
		cn, ack, err := c.attempt(ctx, t, v)
		if err == nil {
			return cn, ack, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil || !notSpoken(err) {
			return nil, nil, err
		}
	}
	return nil, nil, first
}

// errNoAnswer is what a server that closes without CONNACK leaves.
var errNoAnswer = errors.New("server closed the connection without an answer")

// notSpoken reports whether the reason for err may be the version: old servers
// refuse it with the CONNACK of theirs, or just close.
func notSpoken(err error) bool {
	switch packet.ReasonOf(err) {
	case packet.UnsupportedProtocolVersion, packet.MalformedPacket, packet.ProtocolError:
		return true
	}
	return errors.Is(err, errNoAnswer)
}

// attempt is one network connection and one CONNECT.
func (c *Client) attempt(ctx context.Context, t *target, v packet.Version) (*conn, *packet.Connack, error) {
	nc, err := t.dial(ctx, &c.opts)
	if err != nil {
		return nil, nil, err
	}
	cn := c.newConn(nc, v)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	ack, err := c.handshake(ctx, cn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, err
	}
	return cn, ack, nil
}

// handshake sends CONNECT and exchanges AUTH packets until CONNACK comes.
func (c *Client) handshake(ctx context.Context, cn *conn) (*packet.Connack, error) {
	connect, err := c.connectPacket(ctx, cn.version)
	if err != nil {
		return nil, err
	}
	if err := cn.send(connect); err != nil {
		return nil, closedEarly(err)
	}
	for {
		p, err := cn.next()
		if err != nil {
			return nil, closedEarly(err)
		}
		switch p := p.(type) {
		case *packet.Connack:
			return c.accepted(cn, connect, p)
		case *packet.Auth:
			answer, err := c.answerAuth(p)
			if err != nil {
				return nil, err
			}
			if err := cn.send(answer); err != nil {
				return nil, err
			}
		default:
			return nil, &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.2.0-1", Err: fmt.Errorf("%v came before CONNACK", p.Type())}
		}
	}
}

// closedEarly names the error of a server that closed before CONNACK.
func closedEarly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return err
}

// connectPacket builds CONNECT with the credentials of this moment.
func (c *Client) connectPacket(ctx context.Context, v packet.Version) (*packet.Connect, error) {
	o := c.opts
	if o.Credentials != nil {
		var err error
		if o.Username, o.Password, err = o.Credentials(ctx); err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
		if err := o.checkTexts(); err != nil {
			return nil, err
		}
	}
	if v != packet.V5 && o.Password != nil && o.Username == "" { // [MQTT-3.1.2-22] of 3.1.1
		return nil, fmt.Errorf("a Password needs a Username in MQTT %v", v)
	}
	c.mu.Lock()
	clientID, reconnect := c.clientID, c.flow.epoch > 0
	if clientID == "" && v == packet.V31 {
		clientID = "wirebird-" + rand.Text()[:14] // 3.1 allows 23 characters
	}
	c.mu.Unlock()
	if o.Auth != nil {
		c.authLock.Lock()
		defer c.authLock.Unlock()
	}
	return o.connectPacket(v, clientID, reconnect), nil
}

// accepted checks CONNACK and takes over what the server decided.
func (c *Client) accepted(cn *conn, sent *packet.Connect, p *packet.Connack) (*packet.Connack, error) {
	if p.Code != packet.Success {
		return nil, refusal(p.Code, &p.Properties)
	}
	if err := c.checkConnack(sent, p); err != nil {
		if cn.version == packet.V5 {
			cn.send(&packet.Disconnect{Code: packet.ReasonOf(err)}) // the server may be gone already
		}
		return nil, err
	}
	cn.keepAlive = time.Duration(sent.KeepAlive) * time.Second
	if p.Properties.Has(packet.PropServerKeepAlive) { // [MQTT-3.2.2-21]
		cn.keepAlive = time.Duration(p.Properties.ServerKeepAlive) * time.Second
	}
	c.mu.Lock()
	if c.version == 0 {
		c.version = cn.version
		c.flow.setVersion(cn.version)
	}
	if c.clientID == "" {
		c.clientID = string(sent.ClientID)
	}
	c.mu.Unlock()
	return packet.Clone(p).(*packet.Connack), nil
}

// checkConnack refuses an acceptance that makes no sense.
func (c *Client) checkConnack(sent *packet.Connect, p *packet.Connack) error {
	if sent.CleanStart && p.SessionPresent { // [MQTT-3.2.2-4]
		return &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.2.2-2", Err: errors.New("session present after Clean Start")}
	}
	a := c.opts.Auth
	if a == nil {
		return nil
	}
	if string(p.Properties.AuthMethod) != a.Method() { // [MQTT-4.12.0-5]
		return &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-4.12.0-5", Err: fmt.Errorf("CONNACK with the authentication method %q", p.Properties.AuthMethod)}
	}
	return c.finishAuth(&p.Properties)
}

// refusal is the error for a code the server sent, with what it says about it.
func refusal(code packet.ReasonCode, p *packet.Properties) error {
	e := &packet.Error{Code: code}
	if len(p.ReasonString) > 0 {
		e.Err = fmt.Errorf("server says %q", p.ReasonString)
	}
	if len(p.ServerReference) > 0 {
		return &reference{e, string(p.ServerReference)}
	}
	return e
}

// limitsOf reads the server's limits. What CONNACK does not mention has the
// standard's default.
func limitsOf(p *packet.Properties) limits {
	l := limits{receiveMax: 65535, maxQoS: 2, maxPacketSize: p.MaxPacketSize, aliasMax: p.TopicAliasMax}
	if p.Has(packet.PropReceiveMax) {
		l.receiveMax = int(p.ReceiveMax)
	}
	if p.Has(packet.PropMaxQoS) {
		l.maxQoS = p.MaxQoS
	}
	l.noRetain = p.Has(packet.PropRetainAvailable) && p.RetainAvailable == 0
	l.noWildcard = p.Has(packet.PropWildcardAvailable) && p.WildcardAvailable == 0
	l.noSubID = p.Has(packet.PropSubIDAvailable) && p.SubIDAvailable == 0
	l.noShared = p.Has(packet.PropSharedAvailable) && p.SharedAvailable == 0
	return l
}
