package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/auth"
	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/scram"
	"github.com/wirebird/wirebird/packet"
)

const (
	scramMethod = "SCRAM-SHA-256"
	secretBytes = 32
	nonceBytes  = 18 // 24 characters of base64
)

// access decides who may connect. It is called by all shards.
type access struct {
	passwords *auth.Passwords  // nil without a file
	scram     *auth.ScramUsers // nil without a file
	secret    []byte           // of decoys for users that do not exist
}

// hooks attach access to a broker.
func (a *access) hooks() broker.Hooks {
	h := broker.Hooks{Connect: a.connect}
	if a.scram != nil {
		h.Auth = a.begin
	}
	return h
}

// connect decides about a CONNECT without enhanced authentication. A name that there is
// nothing to check against proves nothing: such a client is as anonymous as one without.
func (a *access) connect(r *broker.ConnectRequest) broker.Verdict {
	if a.passwords == nil || !r.HasUsername {
		if r.Listener != nil && r.Listener.Options.AllowAnonymous {
			return broker.Verdict{}
		}
		return broker.Refuse(packet.NotAuthorized, "anonymous clients are not admitted here")
	}
	user, password, given := r.Username, bytes.Clone(r.Password), r.HasPassword
	return broker.Later(func(ctx context.Context) broker.Verdict {
		if ctx.Err() != nil {
			return broker.Refuse(packet.ServerUnavailable, "the server is shutting down")
		}
		if !a.passwords.Check(user, password) || !given {
			return broker.Refuse(packet.BadUserNameOrPassword, "")
		}
		return broker.Verdict{}
	})
}

// begin starts enhanced authentication; nil refuses the method.
func (a *access) begin(method string, _ *broker.ConnectRequest) broker.Exchange {
	if method != scramMethod {
		return nil
	}
	return &scramExchange{access: a}
}

// scramExchange is the server's side of SCRAM on one connection, for the first time and
// each time that the client authenticates again.
type scramExchange struct {
	access *access
	server *scram.Server // nil between two runs
	user   string        // "" before the first run is done
}

// Step implements broker.Exchange.
func (x *scramExchange) Step(data []byte) (reply []byte, done bool, err error) {
	if x.server == nil {
		nonce := base64.RawStdEncoding.EncodeToString(randomBytes(nonceBytes))
		x.server = scram.NewServer(x.access.scram.Lookup, nonce, x.access.secret)
	}
	reply, done, err = x.server.Step(data)
	if done && x.user != "" && x.user != x.server.User() {
		err = errors.New("another user than the one of this connection")
	}
	if err != nil {
		return nil, false, &packet.Error{Code: packet.NotAuthorized, Err: err}
	}
	if done {
		x.user, x.server = x.server.User(), nil
	}
	return reply, done, nil
}

// Username implements broker.Exchange.
func (x *scramExchange) Username() string { return x.user }

// files are those that Reload reads.
func (a *access) files(cfg config.Config) []file {
	var list []file
	if a.passwords != nil {
		list = append(list, file{"password_file", cfg.PasswordFile, a.passwords.Reload})
	}
	if a.scram != nil {
		list = append(list, file{"scram_file", cfg.ScramFile, a.scram.Reload})
	}
	return list
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
