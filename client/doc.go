// Package client is an MQTT client for 3.1, 3.1.1 and 5.0.
//
// A Client keeps one session with one server. It connects again when the
// connection is lost, sends again what was not acknowledged, in order, and
// subscribes again when the server has forgotten the session. The session lives
// in memory and ends with the Client; Options.Outbox keeps what is published on
// disk.
//
// It knows what a session needs and nothing about what messages mean. Received
// messages are the application's to keep; a payload given to Publish must not
// change until the call, or the Token, has completed.
//
// # Connecting
//
// [Connect] returns when the server has accepted, [Start] at once; it connects in the
// background. [Options] says where and how, and its zero value works:
//
//	c, err := client.Connect(ctx, client.Options{URL: "mqtts://broker.example", ClientID: "kitchen"})
//
// The scheme of the URL chooses the transport: mqtt, mqtts, ws, wss, unix, and
// mqtt+srv or mqtts+srv for servers found in DNS. Without a Version the newest that
// the server speaks is used. Options.Proxy, Dial and DialContext lead through other
// networks.
//
// # Publishing
//
// [Client.Publish] returns when the server has the message as its QoS asks: after
// PUBACK or PUBCOMP, or when a message of QoS 0 was written. [Client.PublishAsync]
// returns a [Token] for that moment instead. Until then a message of QoS 1 or 2
// survives lost connections. Options.MaxQueued bounds what is under way.
//
// # Subscribing and handlers
//
// [Client.Subscribe] asks the server, [Client.Handle] adds a function for messages whose
// topic matches, and [Client.SubscribeFunc] does both. A message goes to every handler
// that matches, or else to Options.OnMessage.
//
// Handlers never run on the goroutine that reads the network, so they may
// publish, subscribe and wait. Each has a lane: a bounded queue and a goroutine
// of its own. Options.OnMessage and the other callbacks share one. [Overflow] says
// what becomes of a QoS 0 message that finds its lane full; what is dropped is
// counted in [Stats]. A message is acknowledged when its handlers have returned or,
// with ManualAck, by [Message.Ack], at any time and in any order.
//
// # Losing the connection
//
// The Client comes back by itself, after a random wait that grows up to
// [ReconnectOptions].Max. It follows Server References, and gives up only where
// waiting does not help: then [Client.Done] is closed and [Client.Err] says why. To let
// the server keep the session meanwhile, set ClientID and, with MQTT 5.0,
// SessionExpiry.
//
// With [OutboxOptions] messages of QoS 1 and 2 are on disk before the call returns,
// with or without a connection, and the next process sends what this one could not.
//
// # Requests, values and traces
//
// [Client.Request] publishes and returns the response, which the other side sends with
// [Client.Respond]. [Typed], [PublishValue], [RequestValue] and [Responder] do the same
// with values in place of payloads, through a [Codec]. A [TraceContext] travels with
// messages from context to context.
//
// # Authentication
//
// Options.Username and Password, or Credentials for what expires; certificates in
// Options.TLS; [SCRAM] or another [Authenticator] for enhanced authentication.
//
// # Ending
//
// [Client.Close] disconnects and waits until nothing of the Client runs any more.
// [Client.Drain] first finishes what was accepted and received. [PublishOnce],
// [PublishMany], [ReceiveN] and [Listen] connect, work and close in one call.
//
// # Errors
//
// A code of the server is a *packet.Error, which packet.ReasonOf reads. [ErrClosed],
// [ErrNotConnected], [ErrNoResponder], [ErrOutboxFull] and [ErrTooOld] are for
// errors.Is. What no call returns goes to Options.Logger, and is counted.
//
// # Tests
//
// Package clienttest has a broker for tests of programs that use this package, and
// connections that fail where they are told to.
package client
