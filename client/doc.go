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
// Handlers never run on the goroutine that reads the network, so they may
// publish, subscribe and wait. Each has a lane: a bounded queue and a goroutine
// of its own. Options.OnMessage and the other callbacks share one. Overflow says
// what becomes of a QoS 0 message that finds its lane full; what is dropped is
// counted in Stats.
package client
