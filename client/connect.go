package client

import (
	"context"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// open dials and brings the connection up to an accepted CONNACK.
func (c *Client) open(ctx context.Context, reconnect bool) (*conn, *packet.Connack, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.ConnectTimeout)
	defer cancel()
	nc, err := c.target.dial(ctx, &c.opts)
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	cn := c.newConn(nc)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	ack, err := c.handshake(cn, reconnect)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	return cn, ack, nil
}

// handshake sends CONNECT and exchanges AUTH packets until CONNACK comes.
func (c *Client) handshake(cn *conn, reconnect bool) (*packet.Connack, error) {
	c.mu.Lock()
	clientID := c.clientID
	c.mu.Unlock()
	connect := c.opts.connectPacket(clientID, reconnect)
	if err := cn.send(connect); err != nil {
		return nil, err
	}
	for {
		p, err := cn.next()
		if err != nil {
			return nil, err
		}
		switch p := p.(type) {
		case *packet.Connack:
			return c.accepted(cn, p)
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

// accepted checks CONNACK and takes over what the server decided.
func (c *Client) accepted(cn *conn, p *packet.Connack) (*packet.Connack, error) {
	if p.Code != packet.Success {
		return nil, refusal(p.Code, &p.Properties)
	}
	if c.opts.Auth != nil && p.Properties.Has(packet.PropAuthData) {
		if _, err := c.opts.Auth.Step(p.Properties.AuthData); err != nil {
			return nil, &packet.Error{Code: packet.NotAuthorized, Err: err}
		}
	}
	cn.keepAlive = time.Duration(c.opts.keepAliveSeconds()) * time.Second
	if p.Properties.Has(packet.PropServerKeepAlive) { // [MQTT-3.2.2-21]
		cn.keepAlive = time.Duration(p.Properties.ServerKeepAlive) * time.Second
	}
	cn.heard = time.Now()
	return packet.Clone(p).(*packet.Connack), nil
}

// refusal is the error for a code the server sent, with what it says about it.
func refusal(code packet.ReasonCode, p *packet.Properties) error {
	e := &packet.Error{Code: code}
	switch {
	case len(p.ReasonString) > 0:
		e.Err = fmt.Errorf("server says %q", p.ReasonString)
	case len(p.ServerReference) > 0:
		e.Err = fmt.Errorf("server points to %q", p.ServerReference)
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
	return l
}
