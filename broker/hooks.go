package broker

import (
	"context"
	"crypto/tls"

	"github.com/wirebird/wirebird/packet"
)

// Hooks decide in line whether something may happen. They run on a shard and must not
// block; one that has to wait, for a password hash or another server, returns Later.
// A nil hook allows everything.
type Hooks struct {
	// Connect decides about a CONNECT without enhanced authentication.
	Connect func(*ConnectRequest) Verdict
	// Subscribe decides about each filter of a SUBSCRIBE: Verdict.Code for all, or
	// Verdict.Codes for each.
	Subscribe func(*SubscribeRequest) Verdict
	// Publish decides about a PUBLISH and about the Will Message of a CONNECT. It may
	// change the fields of a PUBLISH when it answers at once. It has to answer at once
	// about a Will Message that comes with enhanced authentication.
	Publish func(*PublishRequest) Verdict
	// Auth begins enhanced authentication by the method that a client names in CONNECT
	// or nil, which gets 0x8C, Bad authentication method.
	Auth func(method string, r *ConnectRequest) Exchange
}

// Verdict is the answer of a hook. The zero value allows.
type Verdict struct {
	// Code refuses when it is 0x80 or above; it must be one that the answering packet
	// may carry.
	Code packet.ReasonCode
	// Reason is told to MQTT 5.0 clients with the refusal; may be empty.
	Reason string
	// Codes answers each filter of a SUBSCRIBE by itself: 0x80 or above refuses, a QoS
	// below the one asked for lowers it. nil means Code for all.
	Codes []packet.ReasonCode
	// Username is what the client shall be known by from a Connect hook; "" keeps the
	// name it gave.
	Username string

	work func(context.Context) Verdict
}

// Later makes the verdict the result of work, which runs off the shard. The connection
// is parked meanwhile: nothing more is read from it, and everybody else goes on. work
// must not touch the request that the hook was called with; its context ends when the
// broker shuts down.
func Later(work func(ctx context.Context) Verdict) Verdict { return Verdict{work: work} }

// Refuse is a Verdict that refuses.
func Refuse(code packet.ReasonCode, reason string) Verdict {
	return Verdict{Code: code, Reason: reason}
}

// Peer is what a hook may know about a client.
type Peer struct {
	ClientID string
	Username string
	Version  packet.Version
	Remote   string // host:port, from the PROXY header when there is one
	Listener *Listener
	TLS      *tls.ConnectionState // nil without TLS
}

// ConnectRequest is a CONNECT to be decided about. It is valid until the hook returns.
type ConnectRequest struct {
	Peer
	HasUsername, HasPassword bool
	Password                 []byte // borrowed
	CleanStart               bool
	Properties               *packet.Properties // borrowed
}

// SubscribeRequest is a SUBSCRIBE to be decided about. It is valid until the hook returns.
type SubscribeRequest struct {
	Peer
	Filters []packet.Subscription // borrowed
}

// PublishRequest is a PUBLISH or a Will Message to be decided about. It is valid until
// the hook returns.
type PublishRequest struct {
	Peer
	Topic   string
	Payload []byte // borrowed
	QoS     byte
	Retain  bool
	Will    bool
}

// Exchange is the server's side of one enhanced authentication.
type Exchange interface {
	// Step takes the client's Authentication Data and gives ours. done tells that the
	// client is who it says; a refusal is an error with a reason code (*packet.Error).
	// Step may be called again after done, when the client authenticates again.
	Step(data []byte) (reply []byte, done bool, err error)
	// Username is who the client is, after done.
	Username() string
}
