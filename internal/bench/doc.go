// Package bench measures brokers from outside, as their clients see them.
//
// It starts a broker as a child process on a loopback address, loads it for a
// bounded time over a bounded number of connections, and reads what the
// operating system and the broker's own metrics say about the cost. It knows
// packets and processes and nothing of how a broker works, so that every
// broker is measured with the same load.
//
// The load is closed: each publisher keeps a fixed number of messages
// unacknowledged and sends the next when one is acknowledged. Latency is what a
// publisher sees at that load, not at a given rate. Every message is numbered
// and counted by the subscriber: a broker that loses or disorders messages must
// not win by it.
package bench
