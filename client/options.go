package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// Defaults of Options.
const (
	defaultKeepAlive      = time.Minute
	defaultConnectTimeout = 10 * time.Second
	defaultMaxQueued      = 1000
	defaultQueueSize      = 1000
	defaultReconnectMin   = time.Second
	defaultReconnectMax   = 2 * time.Minute
)

// Options says how to connect and what to call. Only URL or Dial is needed.
type Options struct {
	// URL names the server: mqtt:// or tcp:// (port 1883), mqtts:// or tls://
	// (8883), ws:// (80), wss:// (443), unix:///path. mqtt+srv://domain and
	// mqtts+srv://domain look the servers up in DNS, as _mqtt._tcp and
	// _secure-mqtt._tcp. A WebSocket URL without a path means /mqtt. A user and
	// password in it are used when Username and Password are empty. Empty means
	// mqtt://localhost.
	URL string
	// ClientID is the Client Identifier. Empty lets the server assign one; MQTT
	// 3.1 has no such thing, so there it is made of random letters.
	ClientID string
	// Version of the protocol. 0 negotiates: 5.0, and if the server does not
	// speak it 3.1.1, and then 3.1. Client.Version tells the outcome.
	Version packet.Version
	// CleanStart throws away the session the server has from an earlier
	// connection. In MQTT 3.x it also ends the session with every connection,
	// and is implied by an empty ClientID. A reconnection of MQTT 5.0 never asks
	// for it.
	CleanStart bool
	// KeepAlive is the longest silence, in whole seconds up to 65,535. 0 means
	// one minute, less than 0 none. The server may set another.
	KeepAlive time.Duration
	// SessionExpiry is how long the server keeps the session after the
	// connection ended, in whole seconds. Less than 0 means forever. MQTT 5.0 only.
	SessionExpiry time.Duration
	// Credentials, if set, is called before each attempt to connect and replaces
	// Username and Password: for tokens that expire. An error ends the attempt.
	Credentials func(context.Context) (username string, password []byte, err error)
	// Username is sent when it is not empty.
	Username string
	// Password is sent when it is not nil. MQTT 3.x wants a Username with it.
	Password []byte
	// Will is published by the server when the connection ends without a
	// DISCONNECT. nil means none.
	Will *Message
	// TLS configures mqtts, tls and wss. nil means the system's certificates.
	// An empty ServerName means the URL's host.
	TLS *tls.Config
	// Dial replaces the opening of the network connection. TLS and WebSocket
	// still go on top, as URL says. It does not learn of other servers: a Server
	// Reference is ignored.
	Dial func(context.Context) (net.Conn, error)
	// DialContext opens network connections, to a server or a proxy, in the
	// manner of net.Dialer.DialContext. Set a net.Dialer's to bind to an address.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Proxy is a URL: socks5:// (names are resolved here), socks5h:// (by the
	// proxy), http:// or https:// (with CONNECT), each with user:password@ if the
	// proxy asks for it. Empty means none. It is not for unix URLs.
	Proxy string
	// LookupSRV finds the servers of +srv URLs. nil means the system's resolver.
	LookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	// NoServerReference ignores where a server sends its clients. Otherwise a
	// Server Reference of MQTT 5.0 is followed, but never from TLS to plain text.
	NoServerReference bool
	// Header goes with the WebSocket handshake.
	Header http.Header
	// ConnectTimeout is for one attempt, from dialing to CONNACK. 0 means 10 s.
	ConnectTimeout time.Duration
	// ReceiveMax is how many QoS 1 and QoS 2 messages the server may send
	// before the first is acknowledged. 0 means 65,535. MQTT 5.0 only.
	ReceiveMax uint16
	// MaxPacketSize is the largest packet accepted, in bytes, fixed header
	// included. 0 means what the protocol allows, 256 MiB. The server is told
	// in MQTT 5.0; a larger packet ends the connection.
	MaxPacketSize uint32
	// TopicAliasMax is the highest Topic Alias the server may use. 0 means none.
	TopicAliasMax uint16
	// NoAutoAlias keeps the client from assigning Topic Aliases. Otherwise a
	// topic gets one with its second message, when the server allows; the topic
	// that was not used for longest gives up its own.
	NoAutoAlias bool
	// RequestResponse asks the server for Response Information, which Request
	// then uses for its Response Topic.
	RequestResponse bool
	// NoProblemInfo asks the server to leave out Reason Strings and User
	// Properties where the standard lets it.
	NoProblemInfo bool
	// UserProperties go with CONNECT.
	UserProperties []User
	// Auth makes the connection use enhanced authentication, such as SCRAM. MQTT
	// 5.0 only.
	Auth Authenticator
	// MaxInflight limits the QoS 1 and QoS 2 messages that are sent and not yet
	// acknowledged, below what the server allows. 0 means as the server allows.
	MaxInflight int
	// MaxQueued limits the messages accepted by Publish and PublishAsync and not
	// yet completed. More have to wait. 0 means 1,000.
	MaxQueued int
	// QueueSize limits the messages that wait for a handler, and for OnMessage.
	// 0 means 1,000.
	QueueSize int
	// Overflow is for QoS 0 messages that find the queue of OnMessage full.
	Overflow Overflow
	// ManualAck leaves acknowledging to Message.Ack, for all handlers.
	ManualAck bool
	// Handlers are there before the first connection, so that messages which the
	// server kept for the session find them. Handle adds more.
	Handlers []Handler
	// Outbox keeps QoS 1 and QoS 2 messages on disk until they are acknowledged.
	// nil keeps them in memory.
	Outbox *OutboxOptions
	// Trace Context for what Publish sends: see TraceContext. nil takes it from
	// ContextWithTrace.
	TraceContext func(context.Context) TraceContext
	// Reconnect says how to come back after a lost connection.
	Reconnect ReconnectOptions
	// Logger receives what no caller is told. nil means none.
	Logger *slog.Logger

	// The functions below run one at a time on a goroutine of their own, in the
	// order things happened. They may call anything but Close.

	// OnConnect is called after every accepted connection, the first included.
	OnConnect func(*Client, Connack)
	// OnConnectFail is called after every failed attempt but Connect's own.
	OnConnectFail func(*Client, error)
	// OnDisconnect is called after every connection, with what ended it; nil
	// means Disconnect or Close. A server's DISCONNECT is a *packet.Error with
	// its code.
	OnDisconnect func(*Client, error)
	// OnMessage is called for each message that no handler's filter matches. The
	// message is its to keep. It is acknowledged when OnMessage returns.
	OnMessage func(*Client, *Message)
	// OnPublish is called when a message has completed: with its acknowledgement,
	// or for QoS 0 when it was written. While 100,000 calls wait, further ones
	// are dropped and counted in Stats.CallbacksDropped.
	OnPublish func(*Client, *Token)
	// OnSubscribe is called with the server's answer to each SUBSCRIBE, those
	// included that the client makes itself.
	OnSubscribe func(*Client, []Subscription, []packet.ReasonCode)
	// OnUnsubscribe is called with the server's answer to each UNSUBSCRIBE.
	OnUnsubscribe func(c *Client, filters []string, codes []packet.ReasonCode)

	// Trace is called with each packet before it is written and after it was
	// read. It runs on the goroutines that serve the connection, must not block
	// and must not keep the packet; packet.Clone can.
	Trace func(sent bool, p packet.Packet)
}

// ReconnectOptions says how a lost connection is made again. The wait before an
// attempt is random between Min and a limit that doubles from Min up to Max, so
// that many clients of one server do not come back at once. It starts anew after a
// connection that has lasted for Max.
type ReconnectOptions struct {
	Min time.Duration // 0 means 1 s
	Max time.Duration // 0 means 2 min
	Off bool          // the first lost connection ends the client
}

// Authenticator takes part in enhanced authentication (§4.12). SCRAM makes one.
// Its methods are called one at a time. If it has a method Finish() error as well,
// that is called when the server reports success and says whether to believe it.
type Authenticator interface {
	// Method is the Authentication Method.
	Method() string
	// Start begins an exchange and returns the first Authentication Data.
	Start() []byte
	// Step answers the server's Authentication Data. It is also called with
	// the data that comes with the server's success, if there is any; its answer
	// is not sent then. An error ends the connection with 0x87, Not authorized.
	Step(in []byte) (out []byte, err error)
}

// Connack is the server's answer to CONNECT.
type Connack struct {
	Code           packet.ReasonCode // Success, or there was no connection
	SessionPresent bool              // the server still has the session
	Properties     packet.Properties // the server's limits and wishes; MQTT 5.0 only
}

// User is one User Property.
type User struct {
	Key, Value string // UTF-8, up to 65,535 bytes each; keys may repeat
}

// Subscription asks for the messages whose topic matches Filter.
type Subscription struct {
	Filter            string // may be shared: $share/name/filter
	QoS               byte   // the highest wanted
	NoLocal           bool   // not the messages this client published
	RetainAsPublished bool   // keep the retain flag as it was published
	RetainHandling    byte   // retained messages: 0 send, 1 send if new, 2 do not
	// ID is the Subscription Identifier. 0 means none.
	ID uint32
	// User goes with the SUBSCRIBE packet.
	User []User
}

// withDefaults returns o with every zero value replaced by what it means, or
// an error that names the field which makes no sense.
func (o Options) withDefaults() (Options, error) {
	if o.Version == 0 && o.Auth != nil {
		o.Version = packet.V5 // nothing else has it
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.KeepAlive = cmp.Or(o.KeepAlive, defaultKeepAlive)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, defaultConnectTimeout)
	o.MaxQueued = cmp.Or(o.MaxQueued, defaultMaxQueued)
	o.QueueSize = cmp.Or(o.QueueSize, defaultQueueSize)
	o.Reconnect.Min = cmp.Or(o.Reconnect.Min, defaultReconnectMin)
	o.Reconnect.Max = cmp.Or(o.Reconnect.Max, max(defaultReconnectMax, o.Reconnect.Min))
	return o, o.check()
}

func (o *Options) check() error {
	switch {
	case o.Version != 0 && (o.Version < packet.V31 || o.Version > packet.V5):
		return fmt.Errorf("options: Version %d is none of 3, 4 and 5", o.Version)
	case o.KeepAlive > math.MaxUint16*time.Second:
		return fmt.Errorf("options: KeepAlive %v is over 65535 s", o.KeepAlive)
	case o.Version != packet.V5 && o.Version != 0 && o.Password != nil && o.Username == "":
		return errors.New("options: Password needs a Username in MQTT 3.x")
	case o.Version != packet.V5 && o.Auth != nil:
		return errors.New("options: Auth needs Version 5.0")
	case o.Auth != nil && o.Auth.Method() == "":
		return errors.New("options: Auth has no Method")
	case o.MaxInflight < 0 || o.MaxQueued < 0 || o.QueueSize < 0:
		return errors.New("options: MaxInflight, MaxQueued and QueueSize cannot be less than 0")
	case o.Reconnect.Min < 0 || o.Reconnect.Max < o.Reconnect.Min:
		return fmt.Errorf("options: Reconnect.Max %v is less than Min %v", o.Reconnect.Max, o.Reconnect.Min)
	}
	if o.Overflow > Block {
		return fmt.Errorf("options: Overflow %d is none of DropNewest, DropOldest and Block", o.Overflow)
	}
	if o.Will != nil {
		if err := o.Will.check(); err != nil {
			return fmt.Errorf("options: Will: %w", err)
		}
		if len(o.Will.Payload) > packet.MaxString {
			return fmt.Errorf("options: Will: payload of %d bytes is over %d", len(o.Will.Payload), packet.MaxString)
		}
	}
	if a, ok := o.Auth.(interface{ check() error }); ok {
		if err := a.check(); err != nil {
			return fmt.Errorf("options: Auth: %w", err)
		}
	}
	for i := range o.Handlers {
		if err := o.Handlers[i].check(); err != nil {
			return fmt.Errorf("options: Handlers: %w", err)
		}
	}
	return o.checkTexts()
}

// checkTexts refuses what no packet can carry [MQTT-3.1.3-4] [MQTT-3.1.3-12].
func (o *Options) checkTexts() error {
	err := checkText("ClientID", o.ClientID)
	if err == nil {
		err = checkText("Username", o.Username)
	}
	if err == nil && len(o.Password) > packet.MaxString {
		err = fmt.Errorf("Password of %d bytes is over %d", len(o.Password), packet.MaxString)
	}
	if err == nil {
		err = checkUser(o.UserProperties)
	}
	if err != nil {
		return fmt.Errorf("options: %w", err)
	}
	return nil
}

// keepAliveSeconds is what CONNECT says.
func (o *Options) keepAliveSeconds() uint16 {
	if o.KeepAlive < 0 {
		return 0
	}
	return uint16((o.KeepAlive + time.Second - 1) / time.Second)
}

// seconds converts to the protocol's four bytes; less than 0 and what does not
// fit become the largest, which means forever where there is a forever.
func seconds(d time.Duration) uint32 {
	if d < 0 || d/time.Second > math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(d / time.Second)
}

func (s *Subscription) check() error {
	if s.QoS > 2 {
		return fmt.Errorf("subscribe to %q: QoS %d is none of 0, 1 and 2", s.Filter, s.QoS)
	}
	if s.RetainHandling > 2 {
		return fmt.Errorf("subscribe to %q: RetainHandling %d is none of 0, 1 and 2", s.Filter, s.RetainHandling)
	}
	if err := topic.CheckFilter(s.Filter); err != nil {
		return fmt.Errorf("subscribe to %q: %w", s.Filter, err)
	}
	if share, _ := topic.SplitShare(s.Filter); share != "" && s.NoLocal { // [MQTT-3.8.3-4]
		return fmt.Errorf("subscribe to %q: a shared subscription cannot have NoLocal", s.Filter)
	}
	if s.ID > packet.MaxVarint {
		return fmt.Errorf("subscribe to %q: ID %d is over %d", s.Filter, s.ID, packet.MaxVarint)
	}
	if err := checkUser(s.User); err != nil {
		return fmt.Errorf("subscribe to %q: %w", s.Filter, err)
	}
	return nil
}
