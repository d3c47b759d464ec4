// Package probe asks a broker what it can do.
//
// What MQTT 5.0 lets a server announce is read from its CONNACK; the rest is tried:
// the probe connects, subscribes and publishes below a topic of its own, and leaves
// nothing behind. It knows the protocol and no broker in particular.
package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// Answer is what came of trying something.
type Answer struct {
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // the refusal, in words
}

// Report is what a broker can do. Limits are 0 where there is none, and -1 where
// nothing is known.
type Report struct {
	Server string `json:"server"`

	MQTT5   Answer `json:"mqtt_5_0"`
	MQTT311 Answer `json:"mqtt_3_1_1"`
	MQTT31  Answer `json:"mqtt_3_1"`
	// Anonymous tells whether a client without a user name is taken.
	Anonymous Answer `json:"anonymous"`

	MaxQoS                  int    `json:"maximum_qos"` // that was delivered
	Retain                  Answer `json:"retain"`
	Wildcard                Answer `json:"wildcard_subscriptions"`
	Shared                  Answer `json:"shared_subscriptions"`
	SubscriptionIdentifiers Answer `json:"subscription_identifiers"`

	MaxPacketSize      int64  `json:"maximum_packet_size"` // bytes
	MaxPacketSizeKnown string `json:"maximum_packet_size_from"`
	TopicAliasMax      int64  `json:"topic_alias_maximum"`
	ReceiveMax         int64  `json:"receive_maximum"`
	ServerKeepAlive    int64  `json:"server_keep_alive_seconds"`      // 0: as the client asked
	MaxSessionExpiry   int64  `json:"session_expiry_maximum_seconds"` // 0: none kept; 4294967295: for ever
	AssignsClientID    Answer `json:"assigns_client_id"`
	ResponseInfo       string `json:"response_information,omitempty"`
	SysVersion         string `json:"sys_version,omitempty"` // $SYS/broker/version
}

// Options say how to reach the broker.
type Options struct {
	Client client.Options // URL, TLS and credentials count
	// Timeout is for each step. 0 means 5 s.
	Timeout time.Duration
	// LargestPacket bounds the search for the largest, in bytes. 0 means 4 MiB.
	LargestPacket int
	// Progress is told of each step. nil is nobody.
	Progress func(step string)
}

const (
	stepTimeout   = 5 * time.Second
	largestPacket = 4 << 20
	sysTimeout    = 1500 * time.Millisecond
	quiet         = 700 * time.Millisecond // after which no message is expected any more
)

// probe is one run.
type probe struct {
	Options
	r      *Report
	prefix string // of topics
	best   packet.Version
}

// Run probes. An error means that no version was accepted, or that ctx ended; what
// is known so far comes with it.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Timeout == 0 {
		o.Timeout = stepTimeout
	}
	if o.LargestPacket == 0 {
		o.LargestPacket = largestPacket
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	p := &probe{Options: o, r: &Report{Server: o.Client.URL}, prefix: "wirebird-test/" + hex.EncodeToString(id[:])}
	p.Client.CleanStart, p.Client.Reconnect.Off = true, true
	if err := p.versions(ctx); err != nil {
		return p.r, err
	}
	p.anonymous(ctx)
	p.announced(ctx)
	for _, step := range []func(context.Context){p.qos, p.subscriptions, p.retain, p.sys, p.packetSize} {
		if ctx.Err() != nil {
			return p.r, context.Cause(ctx)
		}
		step(ctx)
	}
	return p.r, nil
}

// connect connects with changed options.
func (p *probe) connect(ctx context.Context, change func(*client.Options)) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	o := p.Client
	o.Version, o.ClientID, o.ConnectTimeout = p.best, newID(), p.Timeout
	if change != nil {
		change(&o)
	}
	return client.Connect(ctx, o)
}

// newID is short enough for MQTT 3.1.
func newID() string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	return "probe" + hex.EncodeToString(id[:])
}

// ask connects and leaves again.
func (p *probe) ask(ctx context.Context, change func(*client.Options)) (Answer, *client.Connack, error) {
	c, err := p.connect(ctx, change)
	if err != nil {
		return Answer{Detail: reason(err)}, nil, err
	}
	ack := c.Connack()
	_ = c.Close() // it has done what it was for
	return Answer{OK: true}, &ack, nil
}

// reason is an error in few words.
func reason(err error) string {
	if e, ok := errors.AsType[*packet.Error](err); ok {
		return e.Code.String()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	return err.Error()
}

// versions finds out which are accepted, and the best of them.
func (p *probe) versions(ctx context.Context) error {
	var first error
	for _, v := range []struct {
		version packet.Version
		to      *Answer
	}{{packet.V5, &p.r.MQTT5}, {packet.V311, &p.r.MQTT311}, {packet.V31, &p.r.MQTT31}} {
		p.Progress("connect with " + v.version.String())
		var err error
		*v.to, _, err = p.ask(ctx, func(o *client.Options) { o.Version = v.version })
		switch {
		case err == nil && p.best == 0:
			p.best = v.version
		case err != nil && first == nil:
			first = err
		}
	}
	if p.best == 0 {
		return first
	}
	return nil
}

func (p *probe) anonymous(ctx context.Context) {
	p.Progress("connect without a user name")
	p.r.Anonymous, _, _ = p.ask(ctx, func(o *client.Options) { o.Username, o.Password = "", nil })
}

// announced reads what a CONNACK of MQTT 5.0 says.
func (p *probe) announced(ctx context.Context) {
	r := p.r
	r.MaxPacketSize, r.TopicAliasMax, r.ReceiveMax, r.ServerKeepAlive, r.MaxSessionExpiry = -1, -1, -1, -1, -1
	p.Progress("connect without a client identifier")
	r.AssignsClientID, _, _ = p.ask(ctx, func(o *client.Options) { o.ClientID = "" })
	if p.best != packet.V5 {
		return
	}
	_, ack, err := p.ask(ctx, func(o *client.Options) {
		o.SessionExpiry, o.RequestResponse, o.KeepAlive = -1, true, -1
	})
	if err != nil {
		return
	}
	a := &ack.Properties
	number := func(id packet.PropertyID, value, absent int64) int64 {
		if a.Has(id) {
			return value
		}
		return absent
	}
	r.MaxPacketSize = number(packet.PropMaxPacketSize, int64(a.MaxPacketSize), -1)
	if r.MaxPacketSize >= 0 {
		r.MaxPacketSizeKnown = "announced"
	}
	r.TopicAliasMax = number(packet.PropTopicAliasMax, int64(a.TopicAliasMax), 0)
	r.ReceiveMax = number(packet.PropReceiveMax, int64(a.ReceiveMax), 65535)
	r.ServerKeepAlive = number(packet.PropServerKeepAlive, int64(a.ServerKeepAlive), 0)
	r.MaxSessionExpiry = number(packet.PropSessionExpiry, int64(a.SessionExpiry), 0xFFFFFFFF)
	r.ResponseInfo = string(a.ResponseInfo)
	// The session that was just made ends with a connection that does not keep one.
	_, _, _ = p.ask(ctx, nil)
}
