package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// Reauthenticate runs the exchange of Options.Auth again on the connection
// there is (§4.12.1). One runs at a time.
func (c *Client) Reauthenticate(ctx context.Context) error {
	a := c.opts.Auth
	if a == nil {
		return errors.New("reauthenticate: Options.Auth is not set")
	}
	start := &packet.Auth{Code: packet.ReAuthenticate}
	describeAuth(start, a.Method(), a.Start())
	c.mu.Lock()
	cn := c.conn
	if cn == nil || c.reauth != nil {
		c.mu.Unlock()
		if cn == nil {
			return fmt.Errorf("reauthenticate: %w", ErrNotConnected)
		}
		return errors.New("reauthenticate: another exchange is under way")
	}
	t := new(Token)
	c.reauth = t
	cn.out.packet(start)
	c.mu.Unlock()
	cn.kick()
	counted := c.lanes.wait()
	defer c.lanes.waited(counted)
	if err := t.Wait(ctx); err != nil {
		return fmt.Errorf("reauthenticate: %w", err)
	}
	return nil
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
	out, err := a.Step(p.Properties.AuthData)
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
