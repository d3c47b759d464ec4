// Package load is the clients' side of a measurement: many connections that
// publish and receive as cheaply as one thread can, and count what comes.
//
// One goroutine owns everything. On Linux it turns an epoll set with raw system
// calls; elsewhere each connection has a goroutine that reads. A PUBLISH is
// encoded once, and only its Packet Identifier and stamp are written into copies.
// TLS and WebSocket are layers between socket and packets, so that transports can
// be compared side by side.
//
// Every payload begins with a stamp: which stream it belongs to, its number in
// it, and the instant it was due. From that come latency, and losses, duplicates
// and order violations. With a rate the schedule is open: a message is due when
// the schedule says, however late the broker makes the sender.
//
// It knows packets, sockets and processes, and nothing of how a broker works or of
// how figures are shown.
package load
