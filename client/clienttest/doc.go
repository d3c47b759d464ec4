// Package clienttest is a kit for tests of programs that use MQTT: a broker inside the
// test, and network connections that fail where they are told to.
//
// # A broker inside the test
//
// NewBroker makes a whole broker of MQTT 3.1, 3.1.1 and 5.0 that ends with the test.
// Clients reach it by Broker.Dial, without a network, or by Broker.URL, which may be
// given to other processes. It runs on the clock of the test: inside testing/synctest
// keep alive, session expiry and reconnection take no time.
//
//	b := clienttest.NewBroker(t)
//	c, err := client.Connect(ctx, client.Options{Dial: b.Dial})
//
// Broker.Received and Broker.Sent list the packets of both sides, and Broker.Await
// waits for some of them. Hold, Cut, Stop, Kill and Restart are what may happen to a
// server.
//
// # Connections that fail
//
// Faults slow a connection down, take it apart, spoil a byte of it or end it at a
// chosen byte, in either direction. Nothing is random: the same program meets the same
// fault. Broker.Dialer gives each connection faults of its own.
//
// It knows nothing about what is tested, and package client only as the one that dials.
package clienttest
