package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// Reauthenticate runs the exchange of Options.Auth again on the connection
// there is (§4.12.1). One runs at a time. A refusal of the server ends the
// connection, too, and the client makes another as Options.Reconnect says.
func (c *Client) Reauthenticate(ctx context.Context) error {
	a := c.opts.Auth
	if a == nil {
		return errors.New("reauthenticate: Options.Auth is not set")
	}
	t := new(Token)
	cn, err := c.startReauth(a, t)
	if err != nil {
		return fmt.Errorf("reauthenticate: %w", err)
	}
	cn.kick()
	counted := c.lanes.wait()
	defer c.lanes.waited(counted)
	if err := t.Wait(ctx); err != nil {
		return fmt.Errorf("reauthenticate: %w", err)
	}
	return nil
}

// startReauth sends the first AUTH of an exchange that completes t. The lock of the
// Authenticator keeps a connection that begins meanwhile from using it before.
func (c *Client) startReauth(a Authenticator, t *Token) (*conn, error) {
	c.authLock.Lock()
	defer c.authLock.Unlock()
	c.mu.Lock()
	cn, busy := c.conn, c.reauth != nil
	if cn != nil && !busy {
		c.reauth = t
	}
	c.mu.Unlock()
	switch {
	case cn == nil:
		return nil, ErrNotConnected
	case busy:
		return nil, errors.New("another exchange is under way")
	}
	start := &packet.Auth{Code: packet.ReAuthenticate}
	describeAuth(start, a.Method(), a.Start())
	c.mu.Lock()
	defer c.mu.Unlock()
	cn.out.packet(start) // goes nowhere if the connection is gone, which completes t
	return cn, nil
}

// receiveAuth is the server's part of Reauthenticate. The Authenticator is
// called without a lock.
func (c *Client) receiveAuth(cn *conn, p *packet.Auth) error {
	c.mu.Lock()
	t := c.reauth
	c.mu.Unlock()
	if t == nil {
		return &packet.Error{Code: packet.ProtocolError, Err: errors.New("unexpected AUTH")}
	}
	if p.Code == packet.Success {
		if err := c.finishAuth(&p.Properties); err != nil {
			return err // detach completes the token
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reauth = nil
		t.complete(packet.Success, nil)
		return nil
	}
	answer, err := c.answerAuth(p)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cn.out.packet(answer)
	return nil
}

// answerAuth is the next step of an exchange.
func (c *Client) answerAuth(p *packet.Auth) (*packet.Auth, error) {
	a := c.opts.Auth
	if a == nil || p.Code != packet.ContinueAuthentication || string(p.Properties.AuthMethod) != a.Method() {
		return nil, &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-4.12.0-6", Err: fmt.Errorf("unexpected %v", p)}
	}
	c.authLock.Lock()
	out, err := a.Step(p.Properties.AuthData)
	c.authLock.Unlock()
	if err != nil {
		return nil, &packet.Error{Code: packet.NotAuthorized, Err: err}
	}
	answer := &packet.Auth{Code: packet.ContinueAuthentication}
	describeAuth(answer, a.Method(), out)
	return answer, nil
}

func describeAuth(p *packet.Auth, method string, data []byte) {
	p.Properties.AuthMethod = []byte(method)
	p.Properties.Mark(packet.PropAuthMethod)
	if data != nil {
		p.Properties.AuthData = data
		p.Properties.Mark(packet.PropAuthData)
	}
}

// finishAuth takes the data that came with the server's success.
func (c *Client) finishAuth(p *packet.Properties) error {
	a := c.opts.Auth
	c.authLock.Lock()
	defer c.authLock.Unlock()
	var err error
	if p.Has(packet.PropAuthData) {
		_, err = a.Step(p.AuthData)
	}
	if f, ok := a.(interface{ Finish() error }); ok && err == nil {
		err = f.Finish()
	}
	if err != nil {
		return &packet.Error{Code: packet.NotAuthorized, Err: err}
	}
	return nil
}
